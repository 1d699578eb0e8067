// The mouse, as terminals report it in SGR form: CSI < button ; column ; row M, or m for a release. Source: xterm's ctlseqs, mode 1006.

/** What happened where. Columns and rows begin at 0. */
export interface MouseInput {
  readonly type: 'mouse';
  readonly action: 'press' | 'release' | 'drag' | 'wheel up' | 'wheel down';
  /** Of a wheel, none. */
  readonly button: 'left' | 'middle' | 'right' | 'none';
  readonly x: number;
  readonly y: number;
  readonly shift: boolean;
  readonly alt: boolean;
  readonly ctrl: boolean;
}

const SHIFT = 4;
const ALT = 8;
const CTRL = 16;
const MOTION = 32;
const WHEEL = 64;
const BUTTONS = ['left', 'middle', 'right', 'none'] as const;

/** `parameters` is what stands between `<` and the final letter. Undefined for what nobody asked for: other buttons, a wheel to the side. */
export function mouseOf(parameters: string, final: string): MouseInput | undefined {
  const match = /^(\d{1,3});(\d{1,5});(\d{1,5})$/.exec(parameters);
  if (match === null || (final !== 'M' && final !== 'm')) return undefined;
  const [code, column, row] = [Number(match[1]), Number(match[2]), Number(match[3])] as const;
  const action = actionOf(code, final);
  if (action === undefined || column === 0 || row === 0) return undefined;
  return {
    type: 'mouse',
    action,
    button: code & WHEEL ? 'none' : BUTTONS[code & 3]!,
    x: column - 1,
    y: row - 1,
    shift: (code & SHIFT) !== 0,
    alt: (code & ALT) !== 0,
    ctrl: (code & CTRL) !== 0,
  };
}

function actionOf(code: number, final: string): MouseInput['action'] | undefined {
  if (code > (WHEEL | MOTION | SHIFT | ALT | CTRL | 3)) return undefined;
  if (code & WHEEL) {
    if (final === 'm' || (code & 3) > 1) return undefined;
    return code & 1 ? 'wheel down' : 'wheel up';
  }
  if (code & MOTION) return 'drag';
  return final === 'M' ? 'press' : 'release';
}
