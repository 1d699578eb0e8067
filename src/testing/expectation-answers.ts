// How a table in memory answers requests about expectations. Source: net/netfilter/nf_conntrack_netlink.c.

import { EXPECTED_TUPLE, X } from '../ctnetlink/expectation-fields.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import {
  CTA_STATS_EXP_CREATE,
  CTA_STATS_EXP_DELETE,
  CTA_STATS_EXP_NEW,
  IPCTNL_MSG_EXP_DELETE,
  IPCTNL_MSG_EXP_GET,
  IPCTNL_MSG_EXP_GET_STATS_CPU,
  IPCTNL_MSG_EXP_NEW,
} from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { EEXIST, EINVAL, ENOENT } from '../wire/errno.js';
import type { MessageWriter } from '../wire/message.js';
import { NLM_F_CREATE, NLM_F_EXCL } from '../wire/uapi/netlink.js';
import { NFNL_SUBSYS_CTNETLINK } from '../wire/uapi/nfnetlink.js';
import { type MemoryExpectation, putMemoryExpectation } from './memory-expectations.js';
import { type Answer, compose, type Message, Refusal } from './netlink-answers.js';
import { expectationRequest, type TableRequest, textOf } from './table-request.js';
import { EXPECTATION, NOBODY, type TableState } from './table-state.js';

/** The kernel answers with a type of the other subsystem. */
const STATISTICS = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_EXP_GET_STATS_CPU;

export class ExpectationAnswers {
  readonly #state: TableState;
  readonly #request = expectationRequest();

  constructor(state: TableState) {
    this.#state = state;
  }

  /** Does what a message of the expectation subsystem requests. `number` is its number there. @throws Refusal */
  answer(number: number, message: Message): Answer {
    switch (number) {
      case IPCTNL_MSG_EXP_NEW:
        return this.#create(message);
      case IPCTNL_MSG_EXP_GET:
        return message.isDump ? this.#list(message) : [this.#entry(this.#named(this.#read(message)), message)];
      case IPCTNL_MSG_EXP_DELETE:
        return this.#delete(message);
      case IPCTNL_MSG_EXP_GET_STATS_CPU:
        return message.isDump ? [this.#statistics(message)] : undefined;
      default:
        throw new Refusal(EINVAL);
    }
  }

  #read({ bytes, at, end }: Message): TableRequest {
    this.#request.view.decode(bytes, at, end);
    return this.#request;
  }

  #create(message: Message): Answer {
    const { expectations, flows, now } = this.#state;
    const request = this.#read(message);
    const found = expectations.find(request.tuple(EXPECTED_TUPLE), request.zone());
    if (found) {
      if ((message.flags & NLM_F_EXCL) !== 0) throw new Refusal(EEXIST);
      if (request.view.has(X.timeout)) found.deadline = now + request.view.be32(X.timeout);
    } else {
      if ((message.flags & NLM_F_CREATE) === 0) throw new Refusal(ENOENT);
      // The end of the oldest, which may have to make room, is not caused by this request.
      const { began } = this.#state.expectationEvents(message.portId);
      const { ended } = this.#state.expectationEvents(NOBODY);
      expectations.create(request, flows, now, { began, ended });
    }
    return undefined;
  }

  #named(request: TableRequest): MemoryExpectation {
    const { view } = request;
    const found = this.#state.expectations.find(request.tuple(EXPECTED_TUPLE), request.zone());
    if (!found || (view.has(X.id) && view.be32(X.id) !== found.id)) throw new Refusal(ENOENT);
    return found;
  }

  #list(message: Message): Answer {
    const { family } = message;
    return Array.from(this.#state.expectations)
      .filter((one) => family === AF_UNSPEC || family === familyOf(one))
      .map((one) => this.#entry(one, message));
  }

  #delete(message: Message): Answer {
    const request = this.#read(message);
    const { view } = request;
    const helper = textOf(view, X.helper);
    const one = request.hasTuple(EXPECTED_TUPLE) ? this.#named(request) : undefined;
    this.#state.endExpectations(
      (expectation) => (one ? expectation === one : helper === undefined || expectation.helper === helper),
      message.portId,
    );
    return undefined;
  }

  #statistics(message: Message): Uint8Array {
    const { created, deleted } = this.#state.expectations;
    return compose(message, STATISTICS, AF_UNSPEC, (out) => {
      out.be32(CTA_STATS_EXP_NEW, 0);
      out.be32(CTA_STATS_EXP_CREATE, created);
      out.be32(CTA_STATS_EXP_DELETE, deleted);
    });
  }

  #entry(expectation: MemoryExpectation, message: Message): Uint8Array {
    const put = (out: MessageWriter) => putMemoryExpectation(out, expectation, this.#state.now);
    return compose(message, EXPECTATION, familyOf(expectation), put);
  }
}

function familyOf({ family }: MemoryExpectation): number {
  return family === 'ipv4' ? AF_INET : AF_INET6;
}
