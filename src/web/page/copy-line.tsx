// A command line, and a button that copies it.

import { copyText } from './clipboard-text.js';

export function CopyLine({ text }: { readonly text: string }) {
  return (
    <span class="remedy">
      <code>{text}</code>
      <button type="button" class="small" onClick={() => void copyText(text)}>
        Copy
      </button>
    </span>
  );
}
