// Options → FlowSpec and FlowChange, for the commands that create and change flows. The other direction: docs/behaviour.md 3.13.

import type { TupleSpec } from '../ctnetlink/encode.js';
import { exactTcpFlags, type FlowChange, labelBytes, tcpState } from '../ctnetlink/flow-change.js';
import { type FlowSpec, LABEL_BITS, type NatSpec, type ProtocolState, type SequenceAdjustment } from '../ctnetlink/flow-spec.js';
import { dccp } from '../ctnetlink/protocols/dccp.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { savedVtag, sctp } from '../ctnetlink/protocols/sctp.js';
import { tcp } from '../ctnetlink/protocols/tcp.js';
import { filled, inverse } from '../ctnetlink/tuple-spec.js';
import { AF_INET } from '../ctnetlink/uapi/in.js';
import { IPS_CONFIRMED } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { NatValue, OptionValues } from './invocation.js';
import { originalTuple, replyTuple } from './tuples.js';
import { UsageError } from './usage-error.js';

/** Bits of label names. */
export type LabelBits = ReadonlyMap<string, number> | undefined;

/** The flow that `-I` and `-A` describe. */
export function flowSpec(values: OptionValues, labels: LabelBits): FlowSpec {
  const given = { original: originalTuple(values), reply: replyTuple(values) };
  const original = values.src || values.dst ? given.original : filled(given.original, inverse(given.reply));
  const srcNat = natSpec(values.srcNat, values, values.replyDport, original.sport);
  const dstNat = natSpec(values.dstNat, values, values.replySport, original.dport);
  // The kernel translates the reply tuple itself, so it must not be translated already.
  const untranslated: TupleSpec = {
    ...given.reply,
    ...(dstNat?.port === undefined ? {} : { sport: undefined }),
    ...(srcNat?.port === undefined ? {} : { dport: undefined }),
  };
  const reply = filled(untranslated, inverse(original));
  const bits = [...labelBitsOf(values.labelAdd, labels), ...(values.labelBits ?? [])];
  return {
    family: values.family ?? AF_INET,
    original: values.origZone === undefined ? original : { ...original, zone: values.origZone },
    reply: values.replyZone === undefined ? reply : { ...reply, zone: values.replyZone },
    status: values.status ? values.status.set | IPS_CONFIRMED : undefined,
    timeout: values.timeout,
    mark: values.mark?.value,
    protocol: protocolState(values),
    srcNat,
    dstNat,
    zone: values.zone,
    ...(bits.length > 0 ? { labels: labelBytes(bits), labelsMask: labelBytes(bits) } : {}),
    helper: values.helper,
    master: masterTuple(values),
    seqAdjOriginal: sequenceAdjustment(values.seqAdjOrig),
    seqAdjReply: sequenceAdjustment(values.seqAdjReply),
    synproxy: synproxy(values.synproxy),
  };
}

function masterTuple(values: OptionValues): TupleSpec | undefined {
  const { masterSrc, masterDst, masterProtonum, masterPorts } = values;
  if (!masterSrc && !masterDst && masterProtonum === undefined) return undefined;
  return { src: masterSrc, dst: masterDst, protonum: masterProtonum, sport: masterPorts?.[0], dport: masterPorts?.[1] };
}

function sequenceAdjustment(numbers: readonly number[] | undefined): SequenceAdjustment | undefined {
  if (!numbers) return undefined;
  const [correctionPos = 0, offsetBefore = 0, offsetAfter = 0] = numbers;
  return { correctionPos, offsetBefore, offsetAfter };
}

function synproxy(numbers: readonly number[] | undefined): FlowSpec['synproxy'] {
  if (!numbers) return undefined;
  const [isn = 0, its = 0, tsoff = 0] = numbers;
  return { isn, its, tsoff };
}

/** The new values of `-U`. */
export function flowChange(values: OptionValues, labels: LabelBits): FlowChange {
  return {
    timeout: values.timeout,
    mark: values.mark,
    status: values.status?.set,
    state: values.state,
    protonum: values.protonum,
    vtagOriginal: vtag(values.origVtag),
    vtagReply: vtag(values.replyVtag),
    labelsSet: labelBitsOf(values.labelAdd, labels),
    labelsClear: values.labelDel?.length === 0 ? 'all' : labelBitsOf(values.labelDel, labels),
  };
}

/** The options of `-U` that select flows; the others are new values. */
export function updateFilterValues(values: OptionValues): OptionValues {
  const { mark, status, timeout, state, origVtag, replyVtag, role, ...filters } = values;
  return filters;
}

function labelBitsOf(names: readonly string[] | undefined, labels: LabelBits): number[] {
  return (names ?? []).map((name) => {
    const bit = labels!.get(name)!;
    if (bit >= LABEL_BITS)
      throw new UsageError(`label ${name} is bit ${bit}, but the kernel keeps only bits 0 to ${LABEL_BITS - 1}`, {
        exitStatus: 1,
      });
    return bit;
  });
}

/**
 * A translation. The port is the one given with it, else that of the reply direction where it differs from the original one:
 * so `-o save` lines, which give the translated port there only, bring the translation back (docs/differences.md B24).
 */
function natSpec(
  value: NatValue | undefined,
  values: OptionValues,
  replyPort: number | undefined,
  originalPort: number | undefined,
): NatSpec | undefined {
  if (!value?.address) return undefined;
  const shape = protocolByNumber(values.protonum ?? 0).tuple;
  if (value.port !== undefined && shape !== 'ports')
    throw new UsageError(`a NAT port needs a protocol with ports, such as tcp or udp; give the address alone`);
  const port = value.port ?? (shape === 'ports' && replyPort !== originalPort ? replyPort : undefined);
  return { address: value.address, port };
}

function protocolState(values: OptionValues): ProtocolState | undefined {
  const { protonum, state, origVtag, replyVtag, role } = values;
  if (protonum === tcp.number && state !== undefined) {
    const { tcpFlags, tcpWscale } = values;
    return {
      tcp: {
        ...tcpState(state),
        // The original flags, not those that suit an entry made by hand.
        ...(tcpFlags ? { flagsOriginal: exactTcpFlags(tcpFlags[0]), flagsReply: exactTcpFlags(tcpFlags[1]) } : {}),
        ...(tcpWscale ? { wscaleOriginal: tcpWscale[0], wscaleReply: tcpWscale[1] } : {}),
      },
    };
  }
  if (protonum === sctp.number && state !== undefined)
    return { sctp: { state, vtagOriginal: vtag(origVtag), vtagReply: vtag(replyVtag) } };
  if (protonum === dccp.number && state !== undefined) return { dccp: { state, role, handshakeSeq: values.handshakeSeq } };
  return undefined;
}

function vtag(value: number | undefined): number | undefined {
  return value === undefined ? undefined : savedVtag(value);
}
