// TopProgram: `conntrack top` on a terminal. Keys change the state, samples bring new answers, and the picture shows both.

import { ConntrackError } from '../errors.js';
import { type Conntrack, formatFilter } from '../library/index.js';
import {
  type DeletionTarget,
  FlowDeletion,
  type FlowMeter,
  followNamespaces,
  type GroupingName,
  joinFilters,
  type MeteredFlow,
  offsetAround,
  openMeter,
} from '../meter/index.js';
import { count } from '../units.js';
import { AwaitedTexts } from './awaited-text.js';
import { LOOK_EVERY } from './batch.js';
import { commandLines } from './command-lines.js';
import { DeleteDialog } from './delete-dialog.js';
import { deletionQuestion, deletionText } from './deletion-text.js';
import { type AskedTables, askAboutFlow, askDoctor } from './doctor-lines.js';
import { filterPrompt } from './filter-prompt.js';
import { FLOW_COLUMNS } from './flow-cells.js';
import { groupColumns } from './group-cells.js';
import { informationLines } from './information.js';
import type { TerminalInput } from './input.js';
import { MenuOverlay } from './menu-overlay.js';
import { groupMenu, sortMenu, USUAL_GROUPINGS } from './menus.js';
import type { MouseInput } from './mouse.js';
import type { Overlay } from './overlay.js';
import { askPast } from './past-lives.js';
import { columnAt, drawPicture, flowLine, flowRows, layoutOf, type PictureFacts } from './picture.js';
import { PromptOverlay } from './prompt-overlay.js';
import { Screen } from './screen.js';
import { Terminal, type TerminalProgram } from './terminal.js';
import type { TerminalStreams } from './terminal-streams.js';
import { TextOverlay } from './text-overlay.js';
import { actionOf, helpLines, type TopAction } from './top-keys.js';
import type { TopOptions } from './top-options.js';
import { TopState } from './top-state.js';

/** Seconds of the little picture in the header. */
const SERIES = 120;
/** Milliseconds after which one looks whether deleted flows came back. */
const CAME_BACK_AFTER = 5000;
const PACES = [500, 1000, 2000, 5000, 10_000, 30_000, 60_000] as const;
/** Flows whose order can be held, and among which text is looked for. */
const MOST_HELD = 5000;

/** Runs until somebody quits. @returns the exit status @throws what the meter throws */
export async function runTop(
  conntracks: ReadonlyMap<string, Conntrack>,
  options: TopOptions,
  streams: TerminalStreams,
): Promise<number> {
  const program = new TopProgram(conntracks, options, streams);
  return program.run();
}

class TopProgram implements TerminalProgram {
  readonly #conntracks: ReadonlyMap<string, Conntrack>;
  readonly #options: TopOptions;
  readonly #terminal: Terminal;
  readonly #screen: Screen;
  readonly #state: TopState;
  readonly #awaited: AwaitedTexts;
  readonly #asked: AskedTables;
  readonly #abort = new AbortController();
  #meter: FlowMeter | undefined;
  #deletion: FlowDeletion | undefined;
  #overlay: Overlay | undefined;
  #filters: readonly string[] = [];
  #finds: readonly string[] = [];
  /** Number of the sample that is on the screen. */
  #sample = 0;
  #refreshing: Promise<void> | undefined;
  #again = false;
  #looking = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(conntracks: ReadonlyMap<string, Conntrack>, options: TopOptions, streams: TerminalStreams) {
    this.#conntracks = conntracks;
    this.#options = options;
    const { color, ascii, mouse, tmux, by, sort, reverse, filter } = options;
    this.#screen = new Screen(...streams.size(), { color, ascii });
    this.#terminal = new Terminal(streams, this, { mouse, tmux });
    this.#awaited = new AwaitedTexts(() => this.#terminal.draw());
    this.#asked = { conntracks, netns: options.netns };
    this.#state = new TopState('average', false);
    this.#state.filter = filter ?? '';
    if (by !== undefined) this.#state.groupBy(by);
    const order = by === undefined ? this.#state.flowOrder : this.#state.groupOrder;
    Object.assign(order, { ...(sort === undefined ? {} : { sort }), reverse });
  }

  async run(): Promise<number> {
    this.#terminal.open();
    const clock = setInterval(() => this.#tick(), 1000);
    const look = setInterval(() => void this.#lookForNamespaces(), LOOK_EVERY);
    const metering = this.#watch();
    try {
      const status = await this.#terminal.ended;
      if (this.#failure) throw this.#failure.error;
      return status;
    } finally {
      clearInterval(clock);
      clearInterval(look);
      this.#abort.abort();
      await this.#awaited.close();
      await metering;
    }
  }

  input(event: TerminalInput): void {
    if (this.#overlay) {
      const overlay = this.#overlay;
      if (!overlay.take(event) && this.#overlay === overlay) this.#overlay = undefined;
    } else if (event.type === 'key') this.#act(actionOf(event.key));
    else if (event.type === 'mouse') this.#mouse(event);
    this.#awaited.seen(this.#overlay);
    this.#terminal.draw();
  }

  resized(columns: number, rows: number): void {
    this.#screen.resize(columns, rows);
    this.#ask();
  }

  repaint(): void {
    this.#screen.repaint();
  }

  frame(): string {
    const facts = this.#facts();
    if (facts) drawPicture(this.#screen, this.#state, facts);
    else drawStart(this.#screen, this.#options);
    this.#overlay?.draw(this.#screen, this.#options);
    return this.#screen.frame();
  }

  #facts(): PictureFacts | undefined {
    const meter = this.#meter;
    if (!meter) return undefined;
    const { pausedAt } = this.#state;
    return {
      sample: meter.sample,
      series: meter.series({ seconds: SERIES }),
      status: meter.status,
      host: this.#options.host,
      interval: meter.status.interval,
      paused: pausedAt === undefined ? undefined : (performance.now() - pausedAt) / 1000,
      now: new Date(),
      scope: this.#options.scope,
      labels: this.#options.labels,
      readOnly: this.#options.readOnly,
      ascii: this.#options.ascii,
      several: this.#conntracks.size > 1,
    };
  }

  /** Opens the meter and takes its samples until the end. */
  async #watch(): Promise<void> {
    const { scope, interval, share, labels, kept } = this.#options;
    try {
      const meter = await openMeter(this.#conntracks, { filter: scope, interval, share, labels, signal: this.#abort.signal });
      this.#meter = meter;
      this.#deletion = new FlowDeletion(meter, this.#conntracks, scope, kept);
      this.#ask();
      for await (const _ of meter) if (this.#state.pausedAt === undefined) this.#ask();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#failure = { error };
      await this.#terminal.end(1);
    }
  }

  /** A second has passed: times and messages. */
  #tick(): void {
    this.#terminal.draw();
  }

  async #lookForNamespaces(): Promise<void> {
    const { lookAgain } = this.#options;
    const meter = this.#meter;
    if (!meter || !lookAgain || this.#looking) return;
    this.#looking = true;
    try {
      const [failed] = await followNamespaces(meter, lookAgain);
      if (failed) this.#state.say(`${failed.name}: ${failed.error.message}`, 'warning');
    } catch (error) {
      if (meter.failure === undefined && !this.#abort.signal.aborted) {
        if (!(error instanceof ConntrackError)) throw error;
        this.#state.say(error.message, 'error');
      }
    } finally {
      this.#looking = false;
    }
    this.#ask();
  }

  /** Asks the meter for what is on the screen, at once or after the question that is under way. */
  #ask(): void {
    if (this.#refreshing) {
      this.#again = true;
      return;
    }
    this.#refreshing = this.#refresh().finally(() => {
      this.#refreshing = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.#ask();
    });
  }

  async #refresh(): Promise<void> {
    const meter = this.#meter;
    if (!meter) return;
    const state = this.#state;
    try {
      const layout = layoutOf(this.#screen, state, meter.status);
      const isNew = meter.sample.number !== this.#sample;
      if (layout.groups && state.by !== undefined) {
        state.groupList.resize(layout.groups.rows);
        const { sort, reverse } = state.groupOrder;
        const { offset, around } = state.groupList.part;
        const filter = state.filter === '' ? undefined : state.filter;
        const answer = await meter.groups({
          by: state.by,
          filter,
          sort,
          reverse,
          offset,
          around: around && { key: around.id, row: around.row },
          limit: layout.groups.rows,
        });
        if (answer.groups.length > 0 || answer.count === 0) state.showGroups(answer);
      }
      if (layout.flows) {
        state.flowList.resize(layout.flows.rows);
        const answer = await this.#flows(meter, layout.flows.rows);
        state.showFlows(answer, isNew, (numbers) => meter.getMany(numbers).map((flow) => flow !== undefined));
        meter.hold(answer.flows.map(({ number }) => number));
      }
      this.#sample = meter.sample.number;
    } catch (error) {
      if (!(error instanceof ConntrackError)) throw error;
      if (meter.failure === undefined) state.say(error.message, 'error');
    }
    this.#terminal.draw();
  }

  async #flows(meter: FlowMeter, limit: number) {
    const state = this.#state;
    const { sort, reverse } = state.flowOrder;
    const { offset, around } = state.flowList.part;
    const query = { filter: state.flowFilter, sort, reverse, leastRate: this.#options.leastRate } as const;
    if (state.heldOrder === undefined)
      return meter.flows({ ...query, offset, around: around && { number: around.id, row: around.row }, limit });
    const answer = await meter.flows({ ...query, limit: MOST_HELD });
    const now = new Map(answer.flows.map((flow) => [flow.number, flow]));
    const order = state.keepOrder([...now.keys()]);
    const index = around ? order.indexOf(around.id) : -1;
    const from = offsetAround(index, around?.row, offset, limit, order.length);
    const flows = order.slice(from, from + limit).map((number) => now.get(number)!);
    return { ...answer, offset: from, flows };
  }

  #act(action: TopAction | undefined): void {
    if (action === undefined) return;
    if (action.startsWith('group-')) this.#groupBy(USUAL_GROUPINGS[Number(action.slice('group-'.length)) - 1]);
    else this.#actions[action as PlainAction]();
  }

  readonly #actions: Readonly<Record<PlainAction, () => void>> = {
    up: () => this.#move(-1),
    down: () => this.#move(1),
    'page-up': () => this.#move(-this.#list.height),
    'page-down': () => this.#move(this.#list.height),
    first: () => {
      this.#list.reset();
      this.#ask();
    },
    last: () => this.#move(Number.MAX_SAFE_INTEGER),
    focus: () => {
      if (this.#state.by !== undefined) this.#state.focus = this.#state.focus === 'flows' ? 'groups' : 'flows';
    },
    open: () => {
      if (this.#state.opensExplanation) {
        this.#explain();
        return;
      }
      this.#state.open();
      const { drilled, by } = this.#state;
      if (drilled && drilled.filter === undefined)
        this.#state.say(`no filter selects '${drilled.key}' by ${by}: these are all flows`, 'warning');
      this.#ask();
    },
    back: () => {
      this.#state.back();
      this.#ask();
    },
    filter: () => this.#promptFilter(),
    find: () => this.#promptFind(),
    'find-next': () => void this.#findNext(),
    group: () => this.#groupMenu(),
    sort: () => this.#sortMenu(),
    'sort-left': () => this.#sortBeside(-1),
    'sort-right': () => this.#sortBeside(1),
    reverse: () => {
      const { order } = this;
      order.reverse = !order.reverse;
      this.#reorder();
    },
    tag: () => this.#tag(),
    'untag-all': () => this.#state.tags.clear(),
    follow: () => {
      const list = this.#state.flowList;
      list.select(list.row);
      list.follows = !list.follows;
      this.#state.say(list.follows ? 'the selected row stays in the middle' : 'no longer following');
      this.#ask();
    },
    delete: () => void this.#delete(),
    copy: () => this.#copyMenu(),
    past: () => this.#past(),
    commands: () => {
      this.#overlay = new TextOverlay('The same as command lines', commandLines(this.#state, this.#options));
    },
    unit: () => {
      this.#state.unit = this.#state.unit === 'bits' ? 'bytes' : 'bits';
    },
    averages: () => {
      this.#state.averages = !this.#state.averages;
      this.#state.say(this.#state.averages ? 'rates are averages of 10 s' : 'rates are those of the last interval');
    },
    faster: () => this.#pace(-1),
    slower: () => this.#pace(1),
    ended: () => {
      this.#state.showEnded = !this.#state.showEnded;
      this.#state.say(this.#state.showEnded ? 'flows that have ended stay for two samples' : 'flows that have ended go at once');
    },
    information: () => {
      const facts = this.#facts();
      if (!facts) return;
      this.#overlay = this.#awaited.open({
        title: 'Information',
        waiting: 'looking for what is wrong, for two seconds…',
        ask: (signal) => askDoctor(this.#asked, signal),
        rest: () => ['', ...informationLines(this.#facts() ?? facts)],
      });
    },
    pause: () => {
      this.#state.pausedAt = this.#state.pausedAt === undefined ? performance.now() : undefined;
      if (this.#state.pausedAt === undefined) this.#ask();
    },
    hold: () => void this.#hold(),
    help: () => {
      this.#overlay = new TextOverlay('Keys', helpLines(this.#options.ascii));
    },
    repaint: () => this.#screen.repaint(),
    quit: () => void this.#terminal.end(0),
    'columns-left': () => {
      this.#state.hiddenColumns = Math.max(0, this.#state.hiddenColumns - 1);
    },
    'columns-right': () => {
      this.#state.hiddenColumns = Math.min(FLOW_COLUMNS.length - 3, this.#state.hiddenColumns + 1);
    },
  };

  get #list() {
    return this.#state.focus === 'groups' ? this.#state.groupList : this.#state.flowList;
  }

  get order() {
    return this.#state.focus === 'groups' ? this.#state.groupOrder : this.#state.flowOrder;
  }

  #move(by: number): void {
    const more = this.#list.move(by);
    // Another group has other flows.
    if (this.#state.focus === 'groups' && !this.#state.drilled) this.#state.forgetFlows();
    if (more || this.#state.focus === 'groups') this.#ask();
  }

  #reorder(): void {
    this.#state.heldOrder = undefined;
    this.#list.reset();
    this.#ask();
  }

  #sortBy(sort: string | undefined): void {
    if (sort === undefined) return;
    const { order } = this;
    if (order.sort === sort) order.reverse = !order.reverse;
    else Object.assign(order, { sort, reverse: false });
    this.#reorder();
  }

  #sortBeside(step: number): void {
    const sorts = this.#sortable().map(({ sort }) => sort!);
    const now = sorts.indexOf(this.order.sort);
    this.#sortBy(sorts[(now + step + sorts.length) % sorts.length]);
  }

  #sortable() {
    const columns = this.#state.focus === 'groups' ? groupColumns(this.#state.by ?? '') : FLOW_COLUMNS;
    return columns.filter(({ sort }) => sort !== undefined);
  }

  #sortMenu(): void {
    const facts = this.#facts();
    if (!facts) return;
    const context = { unit: this.#state.unit, averages: true, ascii: facts.ascii, several: facts.several, width: 0 } as const;
    this.#overlay = sortMenu(this.#sortable(), context, (sort) => this.#sortBy(sort));
  }

  #groupMenu(): void {
    this.#overlay = groupMenu((by) => (by === 'prefix' ? this.#promptPrefix() : this.#groupBy(by)));
  }

  #promptPrefix(): void {
    this.#overlay = new PromptOverlay('group by src/', '24', [], {
      hint: '24 is 24 bits of IPv4 and 64 of IPv6; 24,56 says both',
      check: (text) => (/^\d{1,3}(,\d{1,3})?$/.test(text) ? undefined : { message: 'a prefix length, such as 24 or 24,56' }),
      done: (text) => this.#groupBy(`src/${text}`),
    });
  }

  #groupBy(by: GroupingName | undefined): void {
    this.#state.groupBy(by);
    this.#state.hiddenColumns = 0;
    this.#ask();
  }

  #promptFilter(): void {
    const { labels } = this.#options;
    this.#overlay = filterPrompt(this.#state.filter, this.#filters, labels, (filter) => {
      if (filter !== '') this.#filters = [...this.#filters.filter((one) => one !== filter), filter];
      this.#state.setFilter(filter);
      this.#ask();
    });
  }

  #promptFind(): void {
    this.#overlay = new PromptOverlay('find:', this.#state.find, this.#finds, {
      hint: 'a part of an address, a port, a state',
      done: (text) => {
        this.#state.find = text;
        if (text !== '') this.#finds = [...this.#finds.filter((one) => one !== text), text];
        void this.#findNext();
      },
    });
  }

  /** Selects the next flow with the text that is looked for, from the selected one on and then from the beginning. */
  async #findNext(): Promise<void> {
    const { find, flowOrder, flowList } = this.#state;
    if (find === '' || !this.#meter) return;
    const { flows } = await this.#meter.flows({ filter: this.#state.flowFilter, ...flowOrder, limit: MOST_HELD });
    const place = flowList.offset + flowList.row;
    const wanted = find.toLowerCase();
    const has = (flow: MeteredFlow) =>
      `${flowLine(flow, true)} ${flow.flow.state ?? ''} ${flow.flow.reply.src} ${flow.flow.reply.dst}`
        .toLowerCase()
        .includes(wanted);
    const order = [...flows.slice(place + 1), ...flows.slice(0, place + 1)];
    const found = order.find(has);
    if (!found)
      this.#state.say(
        `'${find}' is not among ${flows.length < MOST_HELD ? 'these flows' : `the first ${count(MOST_HELD)} flows`}`,
        'warning',
      );
    else if (flowList.goTo(flows.indexOf(found))) this.#ask();
    this.#terminal.draw();
  }

  #explain(): void {
    const flow = this.#state.currentFlow;
    if (!flow) return;
    this.#overlay = this.#awaited.open({
      title: 'What it is',
      waiting: 'looking at it…',
      ask: (signal) => askAboutFlow(flow, this.#asked, signal),
    });
  }

  #past(): void {
    const flow = this.#state.currentFlow;
    if (!flow) return;
    this.#overlay = this.#awaited.open({
      title: `The past of ${flowLine(flow, this.#options.ascii)}`,
      waiting: 'reading the record…',
      ask: (signal) => askPast(flow, this.#options.history, signal),
    });
  }

  #tag(): void {
    const flow = this.#state.currentFlow;
    if (!flow || this.#state.focus !== 'flows') return;
    if (!this.#state.tags.delete(flow.number)) this.#state.tags.set(flow.number, flow);
    this.#move(1);
  }

  async #hold(): Promise<void> {
    const state = this.#state;
    if (state.heldOrder !== undefined) state.heldOrder = undefined;
    else if (this.#meter) {
      const { flows } = await this.#meter.flows({ filter: state.flowFilter, ...state.flowOrder, limit: MOST_HELD });
      state.heldOrder = flows.map(({ number }) => number);
    }
    this.#ask();
  }

  #pace(step: -1 | 1): void {
    const meter = this.#meter;
    if (!meter) return;
    const now = PACES.findIndex((pace) => pace >= meter.interval);
    const next = PACES[Math.max(0, Math.min((now < 0 ? PACES.length - 1 : now) + step, PACES.length - 1))]!;
    meter.interval = next;
    const slower =
      meter.status.interval > next
        ? `; ${(meter.status.interval / 1000).toFixed(1)} s is what the share of the processor allows`
        : '';
    this.#state.say(`every ${next / 1000} s${slower}`);
  }

  #copyMenu(): void {
    const flow = this.#state.currentFlow;
    const group = this.#state.focus === 'groups' ? this.#state.currentGroup : undefined;
    const texts: Readonly<Record<string, readonly [label: string, text: string | undefined]>> = {
      s: ['source', flow?.flow.original.src],
      d: ['destination', flow?.flow.original.dst],
      i: ['id', flow?.flow.id?.toString()],
      l: ['line', flow && flowLine(flow, true)],
      f: ['filter', group?.filter ?? (this.#state.flowFilter && formatFilter(this.#state.flowFilter))],
    };
    const items = Object.entries(texts).filter(([, [, text]]) => text !== undefined);
    if (items.length === 0) return;
    this.#overlay = new MenuOverlay(
      'Copy',
      items.map(([key, [label, text]]) => ({ key, text: `${label}  ${text}` })),
      (key) => {
        const text = texts[key]![1]!;
        this.#state.say(this.#terminal.copy(text) ? `copied, if this terminal allows it: ${text}` : 'too long to copy');
      },
    );
  }

  async #delete(): Promise<void> {
    const state = this.#state;
    const deletion = this.#deletion;
    if (!deletion) return;
    if (this.#options.readOnly) {
      state.say('nothing can be deleted: top was started with --read-only', 'warning');
      return;
    }
    const target = this.#target();
    if (!target) return;
    const plan = await deletion.plan(target);
    if (plan.count === 0) {
      state.say('there is nothing left to delete', 'warning');
      this.#terminal.draw();
      return;
    }
    const question = deletionQuestion(plan, target, state.flows?.flows ?? [], this.#options.ascii);
    this.#overlay = new DeleteDialog({ ...question, confirmed: () => void this.#runDeletion(deletion, plan) });
    this.#terminal.draw();
  }

  #target(): DeletionTarget | undefined {
    const state = this.#state;
    if (state.tags.size > 0) return { flows: [...state.tags.values()] };
    if (state.focus === 'flows') return state.currentFlow && { flows: [state.currentFlow] };
    const group = state.currentGroup;
    if (group && group.filter === undefined)
      state.say('these flows have no filter: open the group, and delete them one by one', 'warning');
    if (group?.filter === undefined) return undefined;
    return { filter: joinFilters([state.filter, group.filter])! };
  }

  async #runDeletion(deletion: FlowDeletion, plan: Awaited<ReturnType<FlowDeletion['plan']>>): Promise<void> {
    const state = this.#state;
    try {
      const result = await deletion.run(plan);
      state.tags.clear();
      state.say(deletionText(result), result.failed > 0 ? 'warning' : 'plain', CAME_BACK_AFTER + 1000);
      this.#ask();
      setTimeout(async () => {
        const back = await deletion.cameBack(plan, result);
        state.say(deletionText(result, back), result.failed > 0 ? 'warning' : 'plain', 10_000);
        this.#terminal.draw();
      }, CAME_BACK_AFTER).unref();
    } catch (error) {
      if (!(error instanceof ConntrackError)) throw error;
      state.say(`cannot delete: ${error.message}`, 'error', 10_000);
    }
    this.#terminal.draw();
  }

  #mouse({ action, x, y }: MouseInput): void {
    const facts = this.#facts();
    if (!facts) return;
    if (action === 'wheel up' || action === 'wheel down') {
      this.#move(action === 'wheel up' ? -3 : 3);
      return;
    }
    if (action !== 'press') return;
    const state = this.#state;
    const layout = layoutOf(this.#screen, state, facts.status);
    for (const name of ['groups', 'flows'] as const) {
      const part = layout[name];
      if (!part || y < part.y || y > part.y + 1 + part.rows) continue;
      state.focus = name;
      if (y === part.y + 1) this.#sortBy(columnAt(this.#screen, x, name, state, facts)?.sort);
      else if (y > part.y + 1) {
        const row = y - part.y - 2;
        if (name === 'groups') {
          state.groupList.select(row);
          this.#ask();
        } else {
          const clicked = flowRows(state, part.rows)[row];
          if (clicked && 'number' in clicked) state.flowList.select(state.flows!.flows.indexOf(clicked));
        }
      }
    }
  }
}

/** All but those that end in a digit. */
type PlainAction = Exclude<TopAction, `group-${number}`>;

/** What is shown until the first list is complete. */
function drawStart(screen: Screen, { host, ascii }: TopOptions): void {
  screen.clear();
  screen.put(1, 0, `conntrack top ${ascii ? '-' : '·'} ${host}`);
  screen.put(1, 2, ascii ? 'listing the table...' : 'listing the table…');
}
