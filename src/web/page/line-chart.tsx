// A chart of lines over time: drawn as paths, so that it follows size and theme by itself. The pointer reads a place, and dragging
// looks closer.

import { useSignal } from '@preact/signals';
import { shortCount } from '../../units.js';

/** A line; `color` is the name of a colour of the style sheet. */
export interface ChartLine {
  readonly color: string;
  readonly values: readonly (number | null)[];
}

interface LineChartProps {
  /** Seconds since the epoch, in equal steps. */
  readonly times: readonly number[];
  readonly lines: readonly ChartLine[];
  readonly label: string;
  /** What the values are multiplied by where they are shown. */
  readonly scale: number;
  /** The place that is marked. */
  readonly marked: number | undefined;
  /** The place under the pointer. */
  readonly pointed: (index: number | undefined) => void;
  /** From one place to another was dragged. */
  readonly dragged: (from: number, to: number) => void;
  /** A place was chosen. */
  readonly chosen: (index: number) => void;
  /** All is wanted again. */
  readonly reset: () => void;
}

/** Of the picture, in its own units: it is stretched. */
const SIZE = 1000;
/** Seconds between marks: the first that leaves no more than MARKS of them. */
const TIME_STEPS = [10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10_800, 21_600];
const MARKS = 6;
/** Nearer to an edge, a mark would be cut. */
const EDGE = 0.03;
/** Dragging less is a click. */
const LEAST_DRAG = 0.02;

export function LineChart({ times, lines, label, scale, marked, pointed, dragged, chosen, reset }: LineChartProps) {
  const at = useSignal<number | undefined>(undefined);
  const from = useSignal<number | undefined>(undefined);
  const most = Math.max(1, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const ticks = ticksTo(most * scale).map((value) => value / scale);
  const top = ticks.at(-1)!;
  const last = Math.max(1, times.length - 1);
  const part = (event: PointerEvent) => {
    const { left, width } = (event.currentTarget as Element).getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - left) / width));
  };
  const move = (event: PointerEvent) => {
    at.value = part(event);
    pointed(Math.round(at.value * last));
  };
  const leave = () => {
    at.value = undefined;
    from.value = undefined;
    pointed(undefined);
  };
  const up = () => {
    const [a, b] = [from.value, at.value];
    from.value = undefined;
    if (a === undefined || b === undefined) return;
    if (Math.abs(a - b) < LEAST_DRAG) chosen(Math.round(b * last));
    else dragged(Math.round(Math.min(a, b) * last), Math.round(Math.max(a, b) * last));
  };
  return (
    <div class="line-chart" role="img" aria-label={label}>
      <div class="values" aria-hidden="true">
        {ticks.map((value) => (
          <span key={value} style={{ bottom: `${(100 * value) / top}%` }}>
            {shortCount(value * scale)}
          </span>
        ))}
      </div>
      <div
        class="area"
        title="Click: who had most then. Drag: look closer. Double click: all again."
        onPointerMove={move}
        onPointerLeave={leave}
        onPointerDown={(event) => {
          from.value = part(event);
          at.value = from.value;
        }}
        onPointerUp={up}
        onDblClick={reset}
      >
        {ticks.map((value) => (
          <i key={value} class="tick" style={{ bottom: `${(100 * value) / top}%` }} />
        ))}
        <svg viewBox={`0 0 ${SIZE} ${SIZE}`} preserveAspectRatio="none" aria-hidden="true">
          {lines.map(({ color, values }, n) => {
            const path = pathOf(values, top);
            return (
              <g key={color} class={color}>
                {n === 0 && <path class="below" d={areaOf(path)} />}
                <path d={path} />
              </g>
            );
          })}
        </svg>
        {from.value !== undefined && at.value !== undefined && (
          <i
            class="dragged"
            style={{ left: `${100 * Math.min(from.value, at.value)}%`, width: `${100 * Math.abs(from.value - at.value)}%` }}
          />
        )}
        {marked !== undefined && <i class="marked" style={{ left: `${(100 * marked) / last}%` }} />}
        {at.value !== undefined && <i class="pointer" style={{ left: `${100 * at.value}%` }} />}
      </div>
      <div class="times" aria-hidden="true">
        {marksOf(times)
          .filter(({ place }) => place > EDGE && place < 1 - EDGE)
          .map(({ place, text }) => (
            <span key={text} style={{ left: `${100 * place}%` }}>
              {text}
            </span>
          ))}
      </div>
    </div>
  );
}

/** 0 and up to four more round numbers, the last not less than `most`. */
function ticksTo(most: number): number[] {
  const power = 10 ** Math.floor(Math.log10(most / 3));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one * 4 >= most) ?? most;
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, n) => n * step);
}

/** Whole minutes or hours of the day as it is here. */
function marksOf(times: readonly number[]): { readonly place: number; readonly text: string }[] {
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined || first === last) return [];
  const step = TIME_STEPS.find((one) => (last - first) / one <= MARKS) ?? TIME_STEPS.at(-1)!;
  const shift = new Date(last * 1000).getTimezoneOffset() * 60;
  const marks = [];
  for (let time = Math.ceil((first - shift) / step) * step + shift; time <= last; time += step)
    marks.push({
      place: (time - first) / (last - first),
      text: new Date(time * 1000).toLocaleTimeString('en-GB', {
        hour: '2-digit',
        minute: '2-digit',
        ...(step < 60 ? { second: '2-digit' } : {}),
      }),
    });
  return marks;
}

/** Where nothing is known, there is no line. */
function pathOf(values: readonly (number | null)[], top: number): string {
  const last = Math.max(1, values.length - 1);
  let path = '';
  let isDrawing = false;
  for (const [n, value] of values.entries()) {
    if (value !== null)
      path += `${isDrawing ? 'L' : 'M'}${((SIZE * n) / last).toFixed(1)} ${(SIZE - (SIZE * value) / top).toFixed(1)}`;
    isDrawing = value !== null;
  }
  return path;
}

/** Down to zero, for each piece of a line. */
function areaOf(path: string): string {
  return path
    .split('M')
    .slice(1)
    .map((piece) => {
      const points = piece.split('L');
      const x = (point: string) => point.split(' ')[0];
      return `M${x(points[0]!)} ${SIZE}L${piece}L${x(points.at(-1)!)} ${SIZE}Z`;
    })
    .join('');
}
