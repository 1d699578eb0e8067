// Copies text, also where the page did not come over TLS, and says so.

import { tell } from './page-state.js';

export async function copyText(text: string): Promise<void> {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyBySelection(text);
    tell(`Copied: ${text.length > 80 ? `${text.slice(0, 79)}…` : text}`);
  } catch {
    tell('The browser does not let this page copy', true);
  }
}

/** Browsers have their clipboard only for pages from secure origins. */
function copyBySelection(text: string): void {
  const box = document.createElement('textarea');
  box.value = text;
  box.className = 'unseen';
  (document.querySelector('dialog[open]') ?? document.body).append(box);
  box.select();
  const isDone = document.execCommand('copy');
  box.remove();
  if (!isDone) throw new Error('nothing was copied');
}
