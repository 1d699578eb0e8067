// The network that the pictures of `conntrack top` show: a router, 198.51.100.4 outside, with an office, a lab, guests and IPv6 inside.
// Everything is chosen by a generator with a fixed seed, and time passes only by steps, so that each run makes the same flows.

const OUTSIDE = '198.51.100.4';
const MBIT = 125_000;
/** Seconds that pass in a step. */
export const STEP = 2;
export const EPOCH = Date.UTC(2026, 2, 12, 14, 20, 0);
export const MAX_ENTRIES = 8192;

const RESOLVERS = ['192.0.2.53', '203.0.113.53'];
const WEB = ['192.0.2.80', '192.0.2.81', '192.0.2.144', '203.0.113.10', '203.0.113.40', '203.0.113.41', '203.0.113.200'];
const WEB6 = ['2001:db8:5::80', '2001:db8:5::443', '2001:db8:9:1::a'];
const SCANNER = '203.0.113.66';

/** Numbers from 0 to 1, the same in each run (mulberry32). */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The flows that carry the traffic: who, and how fast in each direction, in bytes per second. */
const BUSY = [
  // A system image for the lab.
  {
    ...tcp('10.20.8.31', 51_544, '192.0.2.80', 443),
    rate: [0.5 * MBIT, 38 * MBIT],
    swing: 0.35,
    from: -2520,
    status: ['SEEN_REPLY', 'ASSURED', 'OFFLOAD'],
  },
  // A backup that goes out.
  {
    ...tcp('10.20.0.57', 40_912, '192.0.2.22', 22),
    tcp: { wscaleOriginal: 7, wscaleReply: 9 },
    rate: [24 * MBIT, 0.7 * MBIT],
    swing: 0.5,
    from: -11_040,
  },
  // IPv6 is not translated.
  { original: tuple('2001:db8:20::1c4', 58_112, '2001:db8:5::443', 443), rate: [0.3 * MBIT, 21 * MBIT], swing: 0.7, from: -180 },
  // Films in the guest network, over QUIC.
  { ...udp('10.30.4.112', 61_040, '203.0.113.40', 443), rate: [0.21 * MBIT, 14.2 * MBIT], swing: 0.5, from: -1310 },
  { ...udp('10.30.4.87', 50_733, '203.0.113.41', 443), rate: [0.12 * MBIT, 8.1 * MBIT], swing: 0.6, from: -640 },
  // Another office.
  { ...udp('10.20.0.2', 51_820, '192.0.2.201', 51_820), rate: [3.3 * MBIT, 2.9 * MBIT], swing: 0.3, from: -864_000 },
  // Mail, from outside to the server inside.
  { ...mail('203.0.113.150', 49_822), rate: [0.02 * MBIT, 1.9 * MBIT], swing: 0.7, from: -95 },
  { ...mail('192.0.2.173', 55_310), rate: [0.015 * MBIT, 0.36 * MBIT], swing: 0.8, from: -5400 },
  { ...mail('203.0.113.97', 60_118), rate: [0.01 * MBIT, 0.12 * MBIT], swing: 0.8, from: -27_000 },
  // A call.
  { ...udp('10.20.0.71', 16_384, '203.0.113.12', 30_122), rate: [0.08 * MBIT, 0.08 * MBIT], size: 200, swing: 0.01, from: -372 },
  { ...tcp('10.20.0.14', 43_210, '203.0.113.200', 443), rate: [2.4 * MBIT, 0.05 * MBIT], swing: 0.4, from: -49 },
  { ...tcp('10.20.8.17', 39_406, '192.0.2.144', 443), rate: [0.05 * MBIT, 5.4 * MBIT], swing: 0.9, from: -22 },
  { original: tuple('2001:db8:20::93', 44_080, '2001:db8:5::80', 443), rate: [0.03 * MBIT, 1.3 * MBIT], swing: 0.9, from: -310 },
  { original: tuple('10.20.0.14', 50_022, '10.20.0.1', 22), rate: [0.004 * MBIT, 0.021 * MBIT], swing: 0.5, from: -4020 },
  { ...tcp('10.30.4.203', 40_400, '192.0.2.81', 80), rate: [0.02 * MBIT, 2.7 * MBIT], swing: 0.7, from: -15 },
  {
    protocol: 'icmp',
    original: { src: '10.20.0.57', dst: '192.0.2.1', icmpType: 8, icmpCode: 0, icmpId: 4711 },
    srcNat: OUTSIDE,
    rate: [84, 84],
    size: 84,
    swing: 0,
    from: -610,
    timeout: 30,
  },
  // A log that nobody takes.
  { ...udp('10.20.8.5', 514, '192.0.2.99', 514), rate: [2.1 * MBIT, 0], swing: 0.5, from: -7300, status: [], timeout: 30 },
  { ...udp('10.20.0.2', 123, '192.0.2.123', 123), rate: [76 / 8, 76 / 8], size: 76, swing: 0, from: -86_400 },
];

function tuple(src, sport, dst, dport) {
  return { src, sport, dst, dport };
}

function tcp(src, sport, dst, dport) {
  return { protocol: 'tcp', original: tuple(src, sport, dst, dport), srcNat: OUTSIDE };
}

function udp(...ends) {
  return { ...tcp(...ends), protocol: 'udp' };
}

function mail(src, sport) {
  return { protocol: 'tcp', original: tuple(src, sport, OUTSIDE, 993), dstNat: '10.20.0.25' };
}

/** Flows in a MemoryTable, and what happens to them in each step. */
export class Scene {
  #table;
  #random = generator(20_260_312);
  #step = 0;
  /** Flows with traffic: their key, counters, and rates. */
  #busy = [];

  constructor(table) {
    this.#table = table;
    for (const flow of BUSY) this.#begin(flow);
    for (let n = 0; n < 620; n++) this.#addIdle();
    for (let n = 0; n < 90; n++) this.#lookUp();
  }

  /** Lets time pass. */
  step() {
    this.#step++;
    this.#table.advance(STEP);
    for (const flow of this.#busy) this.#carry(flow);
    for (const flow of this.#busy.filter(({ left }) => left === 0)) this.#finish(flow);
    this.#busy = this.#busy.filter(({ left }) => left !== 0);
    for (let n = this.#between(3, 7); n > 0; n--) this.#lookUp();
    for (let n = this.#between(2, 5); n > 0; n--) this.#browse();
    if (this.#step > 16) this.#scan();
    for (const { at, ...flow } of LATER) if (this.#step === at) this.#begin(flow);
  }

  #between(least, most) {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  #pick(list) {
    return list[Math.floor(this.#random() * list.length)];
  }

  /** Somebody inside; a few of them are busier than others. */
  #client() {
    const skewed = Math.floor(this.#random() ** 2.2 * 90);
    return `${this.#pick(['10.20.0', '10.20.0', '10.20.8', '10.30.4', '10.30.4'])}.${20 + ((skewed * 37) % 200)}`;
  }

  #port() {
    return this.#between(32_768, 60_999);
  }

  /** A flow with traffic, which ends after `left` steps if that is given. */
  #begin({ rate, swing, size, from = 0, left, timeout, ...flow }) {
    const start = BigInt(this.#table.now.getTime() + from * 1000) * 1_000_000n;
    // What was carried before is a part of what would have been at this rate: nobody has sent for hours without a pause.
    const past = Math.min(-from, 3600) * 0.8;
    const bytes = rate.map((perSecond) => Math.round(perSecond * past));
    const counters = {
      original: { packets: packetsOf(bytes[0], bytes[1], size), bytes: bytes[0] },
      reply: { packets: packetsOf(bytes[1], bytes[0], size), bytes: bytes[1] },
    };
    const added = this.#table.add({
      ...flow,
      original: { ...flow.original, ...counters.original },
      reply: counters.reply,
      timestamp: { start },
      timeout: timeout ?? (flow.protocol === 'udp' ? 120 : 432_000),
    });
    this.#busy.push({ key: added, bytes, rate, swing, size, left, timeout: added.timeout, phase: this.#random() * 6 });
  }

  /** Bytes and packets of a step. */
  #carry(flow) {
    const { key, bytes, rate, swing, size, phase } = flow;
    const wave = 1 + swing * (0.6 * Math.sin(phase + this.#step / 4) + 0.8 * (this.#random() - 0.5));
    for (const side of [0, 1]) bytes[side] += Math.max(0, Math.round(rate[side] * wave * STEP));
    this.#table.change(key, {
      timeout: flow.timeout,
      original: { packets: packetsOf(bytes[0], bytes[1], size), bytes: bytes[0] },
      reply: { packets: packetsOf(bytes[1], bytes[0], size), bytes: bytes[1] },
    });
    if (flow.left !== undefined) flow.left--;
  }

  #finish({ key }) {
    this.#table.change(key, { state: 'TIME_WAIT', timeout: 120 });
  }

  /** A connection that is kept open and says nothing. */
  #addIdle() {
    const six = this.#random() < 0.2;
    const port = this.#pick([443, 443, 443, 443, 993, 5222, 5228, 22, 853]);
    const idle = this.#between(4, 2400);
    const old = idle + this.#between(30, 20_000);
    const [sent, got] = [this.#between(1800, 90_000), this.#between(4000, 2_400_000)];
    this.#table.add({
      protocol: 'tcp',
      original: {
        ...(six
          ? tuple(`2001:db8:20::${this.#between(16, 400).toString(16)}`, this.#port(), this.#pick(WEB6), port)
          : tuple(this.#client(), this.#port(), this.#pick(WEB), port)),
        packets: packetsOf(sent, got),
        bytes: sent,
      },
      ...(six ? {} : { srcNat: OUTSIDE }),
      reply: { packets: packetsOf(got, sent), bytes: got },
      timeout: 432_000 - idle,
      timestamp: { start: BigInt(this.#table.now.getTime() - old * 1000) * 1_000_000n },
    });
  }

  /** A question to a resolver, and its answer; one of forty gets none. */
  #lookUp() {
    const answered = this.#random() > 0.025;
    const start = BigInt(this.#table.now.getTime() - this.#between(0, 1900)) * 1_000_000n;
    this.#table.add({
      protocol: 'udp',
      original: { ...tuple(this.#client(), this.#port(), this.#pick(RESOLVERS), 53), packets: 1, bytes: this.#between(58, 92) },
      srcNat: OUTSIDE,
      reply: answered ? { packets: 1, bytes: this.#between(90, 420) } : {},
      status: answered ? ['SEEN_REPLY'] : [],
      timeout: this.#between(28, 30),
      timestamp: { start },
    });
  }

  /** A page: a connection of a few steps. */
  #browse() {
    const six = this.#random() < 0.25;
    const address = this.#client();
    this.#begin({
      ...(six
        ? { original: tuple(`2001:db8:20::${this.#between(16, 400).toString(16)}`, this.#port(), this.#pick(WEB6), 443) }
        : tcp(address, this.#port(), this.#pick(WEB), 443)),
      rate: [this.#between(300, 4000), this.#between(2000, 160_000)],
      swing: 0.8,
      left: this.#between(1, 14),
    });
  }

  /** Somebody outside knocks at many doors, and nobody answers. */
  #scan() {
    for (let n = this.#between(26, 34); n > 0; n--)
      this.#table.add({
        protocol: 'tcp',
        state: 'SYN_SENT',
        original: {
          ...tuple(SCANNER, this.#port(), `198.51.100.${this.#between(4, 30)}`, this.#between(1, 9999)),
          packets: 1,
          bytes: 44,
        },
      });
  }
}

/** What begins while one looks, and for how many steps it goes on. */
const LATER = [
  { at: 4, ...tcp('10.20.8.17', 39_402, '192.0.2.144', 443), rate: [1.1 * MBIT, 104 * MBIT], swing: 0.6, left: 5 },
  { at: 12, ...tcp('10.20.8.44', 42_016, '192.0.2.81', 443), rate: [0.7 * MBIT, 61 * MBIT], swing: 0.9, left: 6 },
  { at: 20, ...tcp('10.30.4.57', 36_190, '203.0.113.200', 443), rate: [1.6 * MBIT, 190 * MBIT], swing: 0.7, left: 4 },
  { at: 27, ...tcp('10.20.8.44', 42_018, '192.0.2.81', 443), rate: [0.9 * MBIT, 92 * MBIT], swing: 0.9, left: 5 },
  { at: 37, ...tcp('10.30.4.57', 36_202, '203.0.113.200', 443), rate: [1.6 * MBIT, 170 * MBIT], swing: 0.8, left: 4 },
  { at: 44, ...tcp('10.20.8.17', 39_438, '192.0.2.144', 443), rate: [0.8 * MBIT, 66 * MBIT], swing: 0.8, left: 6 },
  {
    at: 53,
    ...tcp('10.20.0.133', 47_788, '203.0.113.10', 443),
    rate: [0.6 * MBIT, 116 * MBIT],
    swing: 0.5,
    status: ['SEEN_REPLY', 'ASSURED', 'OFFLOAD'],
  },
];

/** Packets of one size; else full ones, and acknowledgements for every second that comes from the other side. */
function packetsOf(bytes, others = 0, size = 0) {
  if (bytes === 0) return 0;
  return Math.max(1, Math.round(size > 0 ? bytes / size : Math.max(bytes / 1380, others / 2 / 1380)));
}
