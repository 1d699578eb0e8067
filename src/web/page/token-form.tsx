// Asks for the token, which stays in this tab only.

import { useEffect, useRef } from 'preact/hooks';
import { setToken } from './api.js';

export function TokenForm() {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const go = (event: Event) => {
    event.preventDefault();
    setToken(input.current!.value.trim());
    location.reload();
  };
  return (
    <main class="token">
      <form onSubmit={go}>
        <h1>conntrack</h1>
        <p>This server needs its token. It stays in this tab.</p>
        <label for="token">Token</label>
        <input ref={input} id="token" type="password" autocomplete="off" required />
        <button type="submit" class="main">
          Open
        </button>
      </form>
    </main>
  );
}
