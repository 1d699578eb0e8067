// How a table in memory answers requests about flows. Source: net/netfilter/nf_conntrack_netlink.c.

import { ORIGINAL, REPLY, S } from '../ctnetlink/fields.js';
import type { Flow } from '../ctnetlink/flow.js';
import { putFlowMessage } from '../ctnetlink/flow-message.js';
import { AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import {
  CTA_STATS_CHAIN_TOOLONG,
  CTA_STATS_CLASH_RESOLVE,
  CTA_STATS_DROP,
  CTA_STATS_EARLY_DROP,
  CTA_STATS_ERROR,
  CTA_STATS_FOUND,
  CTA_STATS_GLOBAL_ENTRIES,
  CTA_STATS_GLOBAL_MAX_ENTRIES,
  CTA_STATS_INSERT,
  CTA_STATS_INSERT_FAILED,
  CTA_STATS_INVALID,
  CTA_STATS_SEARCH_RESTART,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_GET_CTRZERO,
  IPCTNL_MSG_CT_GET_DYING,
  IPCTNL_MSG_CT_GET_STATS,
  IPCTNL_MSG_CT_GET_STATS_CPU,
  IPCTNL_MSG_CT_GET_UNCONFIRMED,
  IPCTNL_MSG_CT_NEW,
} from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { putHost32 } from '../wire/bytes.js';
import { EEXIST, EINVAL, ENOENT, EOPNOTSUPP } from '../wire/errno.js';
import { MessageWriter } from '../wire/message.js';
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_MULTI } from '../wire/uapi/netlink.js';
import { dumpFilter } from './dump-filter.js';
import { changeFlow, createFlow } from './flow-rules.js';
import type { MemoryFlow } from './memory-flow.js';
import { type Answer, compose, type Message, PORT_ID, Refusal } from './netlink-answers.js';
import { flowRequest, hasFilter, type TableRequest } from './table-request.js';
import { FLOW, type TableState } from './table-state.js';

/** The counters per processor that current kernels send. */
const CPU_COUNTERS = [
  CTA_STATS_FOUND,
  CTA_STATS_INVALID,
  CTA_STATS_INSERT,
  CTA_STATS_INSERT_FAILED,
  CTA_STATS_DROP,
  CTA_STATS_EARLY_DROP,
  CTA_STATS_ERROR,
  CTA_STATS_SEARCH_RESTART,
  CTA_STATS_CLASH_RESOLVE,
  CTA_STATS_CHAIN_TOOLONG,
];

export class FlowAnswers {
  readonly #state: TableState;
  readonly #request = flowRequest();
  readonly #out = new MessageWriter();

  constructor(state: TableState) {
    this.#state = state;
  }

  /** Does what a message of the conntrack subsystem requests. `number` is its number there. @throws Refusal */
  answer(number: number, message: Message): Answer {
    switch (number) {
      case IPCTNL_MSG_CT_NEW:
        return this.#create(message);
      case IPCTNL_MSG_CT_GET:
        return message.isDump ? this.#list(message) : this.#get(message);
      case IPCTNL_MSG_CT_GET_CTRZERO:
        return message.isDump ? this.#list(message, resetCounters) : this.#get(message, resetCounters);
      case IPCTNL_MSG_CT_DELETE:
        return this.#delete(message);
      case IPCTNL_MSG_CT_GET_STATS:
        return [this.#count(message)];
      case IPCTNL_MSG_CT_GET_STATS_CPU: {
        const put = (out: MessageWriter) => {
          for (const counter of CPU_COUNTERS) out.be32(counter, 0);
        };
        return message.isDump ? [compose(message, message.type, AF_UNSPEC, put)] : undefined;
      }
      case IPCTNL_MSG_CT_GET_DYING:
      case IPCTNL_MSG_CT_GET_UNCONFIRMED:
        if (!message.isDump) throw new Refusal(EOPNOTSUPP);
        return [];
      default:
        throw new Refusal(EINVAL);
    }
  }

  #read({ bytes, at, end }: Message): TableRequest {
    this.#request.view.decode(bytes, at, end);
    return this.#request;
  }

  /** Creates a flow, or changes the existing one. */
  #create(message: Message): Answer {
    const state = this.#state;
    const request = this.#read(message);
    const original = request.hasTuple(ORIGINAL) ? request.tuple(ORIGINAL) : undefined;
    const reply = request.hasTuple(REPLY) ? request.tuple(REPLY) : undefined;
    const tuple = original ?? reply;
    const found = tuple && state.flows.find(tuple, request.zone(ORIGINAL, REPLY));
    if (!found) {
      if ((message.flags & NLM_F_CREATE) === 0) throw new Refusal(ENOENT);
      state.began(createFlow(request, state), message.portId);
      return undefined;
    }
    if ((message.flags & NLM_F_EXCL) !== 0) throw new Refusal(EEXIST);
    const { helper } = found;
    changeFlow(request, found, state);
    if (helper !== found.helper) state.endExpectations(({ master }) => master === found, message.portId);
    state.changed(found, message.portId);
    return undefined;
  }

  /** The flow that a request names by one of its tuples. */
  #named(request: TableRequest): MemoryFlow {
    const base = request.hasTuple(ORIGINAL) ? ORIGINAL : REPLY;
    if (!request.hasTuple(base)) throw new Refusal(EINVAL);
    const found = this.#state.flows.find(request.tuple(base), request.zone(base));
    if (!found) throw new Refusal(ENOENT);
    return found;
  }

  #get(message: Message, after?: (flow: MemoryFlow) => void): Answer {
    const flow = this.#named(this.#read(message));
    const entry = this.#entry(flow, message, 1); // the request itself holds a reference
    after?.(flow);
    return [entry];
  }

  #list(message: Message, after?: (flow: MemoryFlow) => void): Answer {
    const wanted = dumpFilter(this.#read(message), message.family);
    const entries: Uint8Array[] = [];
    for (const flow of this.#state.flows) {
      if (wanted && !wanted(flow)) continue;
      entries.push(this.#entry(flow, message));
      after?.(flow);
    }
    return entries;
  }

  /** Deletes the named flow, or all flows that the request selects. */
  #delete(message: Message): Answer {
    const state = this.#state;
    const request = this.#read(message);
    const { view } = request;
    const filtered = hasFilter(view);
    if (!filtered && (request.hasTuple(ORIGINAL) || request.hasTuple(REPLY))) {
      const flow = this.#named(request);
      if (view.has(S.id) && view.be32(S.id) !== flow.id) throw new Refusal(ENOENT);
      state.remove(flow, message.portId);
      return undefined;
    }
    // Without a version, a flush ignores the family.
    const wanted = dumpFilter(request, filtered || message.version !== 0 ? message.family : AF_UNSPEC);
    for (const flow of [...state.flows]) if (!wanted || wanted(flow)) state.remove(flow, message.portId);
    return undefined;
  }

  #count(message: Message): Uint8Array {
    const { flows, maxEntries } = this.#state;
    return compose(message, message.type, AF_UNSPEC, (out) => {
      out.be32(CTA_STATS_GLOBAL_ENTRIES, flows.size);
      out.be32(CTA_STATS_GLOBAL_MAX_ENTRIES, maxEntries);
    });
  }

  #entry(flow: MemoryFlow, { sequence, portId }: Message, references = 0): Uint8Array {
    const out = this.#out;
    const listed = { ...flow.toFlow('entry', this.#state.now), use: flow.use + references } as Flow;
    out.reset();
    putFlowMessage(out, listed, { type: FLOW, flags: NLM_F_MULTI, sequence });
    putHost32(out.bytes, PORT_ID, portId);
    return out.bytes.slice(0, out.length);
  }
}

function resetCounters(flow: MemoryFlow): void {
  const none = { packets: 0n, bytes: 0n };
  if (flow.counters) flow.counters = { original: none, reply: none };
}
