// Command lines as calls of the library: `-I`, `-A`, `-U`, `-D`, `-F`, expressed with its objects.

import { parseCommandLine } from '../../src/cli/command-line.js';
import type { AddressValue, Invocation, NatValue, OptionValues } from '../../src/cli/invocation.js';
import { protocolByNumber } from '../../src/ctnetlink/protocols/index.js';
import { savedVtag } from '../../src/ctnetlink/protocols/sctp.js';
import { namesOfBits } from '../../src/ctnetlink/status.js';
import {
  type Conntrack,
  type DccpRole,
  type Filter,
  type FlowState,
  type FlowUpdate,
  formatAddress,
  LabelMap,
  type NewFlow,
  STATUS_NAMES,
  type StatusName,
} from '../../src/index.js';
import { LABELS } from './population.js';

const labels = LabelMap.parse(LABELS);
const ROLES: readonly DccpRole[] = ['client', 'server'];
const IPV6 = 10;

/** The meaning of a command line. @throws UsageError */
export function parse(argv: readonly string[]): Invocation {
  return parseCommandLine(argv, {
    readProtocols: () => '',
    resolveLabels: (names) => new Map(names.map((name) => [name, labels.bit(name) ?? Number.NaN])),
  });
}

/** Does with the library what the command line does. @returns whether that is a success for the command */
export async function call(conntrack: Conntrack, { command, values, labelBits }: Invocation): Promise<boolean> {
  const bits = (names: readonly string[] | undefined) => names?.map((name) => labelBits!.get(name)!);
  switch (command) {
    case 'I':
    case 'A':
      await conntrack.create(newFlow(values, bits(values.labelAdd)), { mayExist: command === 'A' });
      return true;
    case 'D': {
      const { deleted, failed } = await conntrack.delete(filterOf(values, bits(values.labels)));
      return deleted > 0 && failed === 0;
    }
    case 'U': {
      const { mark, status, timeout, state, origVtag, replyVtag, role, ...filters } = values;
      const { updated, failed } = await conntrack.update(filterOf(filters, bits(values.labels)), updateOf(values, bits));
      return updated > 0 && failed === 0;
    }
    case 'F':
      await conntrack.flush({ family: familyOf(values) });
      return true;
    default:
      throw new Error(`-${command} changes nothing`);
  }
}

/** Without the members that are undefined. */
function given<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}

/** `undefined` for an object without members. */
function some<T extends object>(value: T): T | undefined {
  const members = given(value);
  return Object.keys(members).length > 0 ? members : undefined;
}

const familyOf = ({ family }: OptionValues) => (family === undefined ? undefined : family === IPV6 ? 'ipv6' : 'ipv4');
const address = (value: AddressValue | undefined) => value && formatAddress(value.address);
const network = (value: AddressValue | undefined) =>
  value && `${formatAddress(value.address)}${value.mask ? `/${formatAddress(value.mask)}` : ''}`;
const stateOf = ({ protonum, state }: OptionValues) =>
  state === undefined ? undefined : (protocolByNumber(protonum!).states![state] as FlowState);
const statusNames = (bits: number) => namesOfBits(STATUS_NAMES, bits) as StatusName[];

function filterOf(values: OptionValues, labelBits: readonly number[] | undefined): Filter {
  const { status } = values;
  const nat = (value: NatValue | undefined) =>
    value && (some({ address: value.address && formatAddress(value.address), port: value.port }) ?? true);
  return given({
    family: familyOf(values),
    protocol: values.protonum,
    original: some({
      src: network(values.src),
      dst: network(values.dst),
      sport: values.sport,
      dport: values.dport,
      icmpType: values.icmpType,
      icmpCode: values.icmpCode,
      icmpId: values.icmpId,
      zone: values.origZone,
    }),
    reply: some({
      src: network(values.replySrc),
      dst: network(values.replyDst),
      sport: values.replySport,
      dport: values.replyDport,
      zone: values.replyZone,
    }),
    state: stateOf(values),
    mark: values.mark,
    status: status && statusNames(status.set),
    all: status && statusNames(status.clear).map((name) => ({ not: { status: [name] } })),
    labels: labelBits,
    zone: values.zone,
    id: values.id,
    timeout: values.timeout,
    secmark: values.secmark,
    srcNat: nat(values.srcNat),
    dstNat: nat(values.dstNat),
    anyNat: nat(values.anyNat),
    sctp: some({ vtagOriginal: values.origVtag, vtagReply: values.replyVtag }),
    dccp: some({ role: values.role === undefined ? undefined : ROLES[values.role] }),
  }) as Filter;
}

function updateOf(
  values: OptionValues,
  bits: (names: readonly string[] | undefined) => readonly number[] | undefined,
): FlowUpdate {
  return given({
    timeout: values.timeout,
    mark: values.mark,
    status: values.status && statusNames(values.status.set),
    state: stateOf(values),
    sctp: some({ vtagOriginal: vtag(values.origVtag), vtagReply: vtag(values.replyVtag) }),
    labels: some({ set: bits(values.labelAdd), clear: values.labelDel?.length === 0 ? 'all' : bits(values.labelDel) }),
  }) as FlowUpdate;
}

const vtag = (value: number | undefined) => (value === undefined ? undefined : savedVtag(value));

function newFlow(values: OptionValues, labelBits: readonly number[] | undefined): NewFlow {
  const ports = protocolByNumber(values.protonum ?? 0).tuple === 'ports';
  const original = { sport: values.sport ?? values.replyDport, dport: values.dport ?? values.replySport };
  // A translation takes its port from the reply if that has another one: docs/differences.md B24.
  const nat = (value: NatValue | undefined, replyPort: number | undefined, originalPort: number | undefined) =>
    value?.address && {
      address: formatAddress(value.address),
      port: value.port ?? (ports && replyPort !== originalPort ? replyPort : undefined),
    };
  return {
    family: familyOf(values) ?? 'ipv4',
    protocol: values.protonum,
    timeout: values.timeout!,
    original: {
      src: address(values.src),
      dst: address(values.dst),
      sport: values.sport,
      dport: values.dport,
      icmpType: values.icmpType,
      icmpCode: values.icmpCode,
      icmpId: values.icmpId,
      zone: values.origZone,
    },
    reply: {
      src: address(values.replySrc),
      dst: address(values.replyDst),
      sport: values.replySport,
      dport: values.replyDport,
      zone: values.replyZone,
    },
    state: stateOf(values),
    status: values.status && statusNames(values.status.set),
    mark: values.mark?.value,
    zone: values.zone,
    labels: labelBits,
    helper: values.helper,
    srcNat: nat(values.srcNat, values.replyDport, original.sport),
    dstNat: nat(values.dstNat, values.replySport, original.dport),
    sctp: { vtagOriginal: vtag(values.origVtag), vtagReply: vtag(values.replyVtag) },
    dccp: { role: values.role === undefined ? undefined : ROLES[values.role] },
  };
}
