// What lies over the picture of `conntrack top` and takes the input until it is closed: help, menus, prompts, dialogs.

import type { TerminalInput } from './input.js';
import type { Screen } from './screen.js';

/** What an overlay must know of the terminal to draw itself. */
export interface OverlayContext {
  /** No characters but ASCII. */
  readonly ascii: boolean;
}

/** Something that lies over the picture and takes the input until it is closed. */
export interface Overlay {
  /** Draws itself over the picture that is on the screen. It may show the cursor. */
  draw(screen: Screen, context: OverlayContext): void;

  /**
   * Takes an input. What it calls meanwhile may put another overlay in its place: who closes it looks first whether it is still there.
   *
   * @returns false when it is done and shall be closed
   */
  take(input: TerminalInput): boolean;
}

/** Whether an input is a key of these names. */
export function isKey(input: TerminalInput, ...names: readonly string[]): boolean {
  return input.type === 'key' && names.includes(input.key);
}

/** Keys that leave whatever is open. */
export const LEAVING = ['Escape', 'Ctrl-c'] as const;
