// The clipboard of whoever sits at the terminal, also at the other end of SSH: OSC 52 (xterm's ctlseqs), which tmux passes on if it is
// wrapped.

/** More bytes than these are not taken by some terminals. */
const LIMIT = 8 * 1024;

/** What to write to put text into the clipboard; undefined if it is too long. */
export function clipboardSequence(text: string, tmux: boolean): string | undefined {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > LIMIT) return undefined;
  const sequence = `\x1b]52;c;${Buffer.from(bytes).toString('base64')}\x1b\\`;
  return tmux ? `\x1bPtmux;${sequence.replaceAll('\x1b', '\x1b\x1b')}\x1b\\` : sequence;
}
