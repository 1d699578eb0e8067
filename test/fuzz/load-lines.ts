// Files with similar lines: a line as `-o save` writes it, then the same line repeatedly with other values, most of them edge cases or
// odd, and some lines damaged.

import type { Random } from '../support/random.js';

/**
 * `<n>` a number, `<b>` one of 8 bits, `<p>` one of 16, `<m>` a mark with or without a mask, `<4>` and `<6>` addresses. With a letter
 * after it, as in `<pa>`, it nearly always equals the other `<pa>` of the line.
 */
const TCP = '-p tcp --sport <pa> --dport <pb> --reply-port-src <pb> --reply-port-dst <pa>';
const UDP = '-p udp --sport <pa> --dport <pb> --reply-port-src <pb> --reply-port-dst <pa>';
const SHAPES = [
  `-A -t <n> -u SEEN_REPLY,ASSURED -s <4a> -d <4b> -r <4b> -q <4a> ${TCP} --state ESTABLISHED`,
  `-I -t <n> -s <6a> -d <6b> -r <6b> -q <6a> ${TCP} --state TIME_WAIT`,
  `-A -t <n> -s <4a> -d <4b> -r <4b> -q <4a> ${UDP} -m <m>`,
  `-A -t <n> -u CONFIRMED,SEEN_REPLY -s <4> -d <4b> -r <4b> -q <4c> -n <4c> ${UDP}`,
  `-A -t <n> -u SEEN_REPLY -s <4a> -d <4> -r <4c> -q <4a> -g <4c> ${TCP} --state SYN_SENT`,
  `-A -t <n> -s <4> -d <4> -r <4c> -q <4d> -n <4d> -g <4c> -p udp --sport <p> --dport <p> --reply-port-src <pe> --reply-port-dst <pf>`,
  `-A -t <n> -s <4> -d <4> -r <4c> -q <4d> -n <4d>:<pf> -g <4c>:<pe> -p udp --sport <p> --dport <p> --reply-port-src <pe> --reply-port-dst <pf>`,
  `-A -t <n> -s <4> -d <4b> -r <4b> -q <4c> -n <4c>:<pc> -p udp --sport <p> --dport <pb> --reply-port-src <pb> --reply-port-dst <pc>`,
  `-A -t <n> -s <6a> -d <6b> -r <6b> -q <6c> -n <6c> ${UDP}`,
  `-A -t <n> -s <6> -d <6> -r <6> -q <6> -n [<6>]:<p> ${UDP}`,
  '-A -t <n> -u SRC_NAT -s <4> -d <4> -n <4> -p udp --sport <p> --dport <p>',
  '-A -t <n> -s <4> -d <4> -g <4>:<p> -p tcp --sport <p> --dport <p> --state SYN_SENT',
  '-A -t <n> -s <4a> -d <4b> -r <4b> -q <4a> -p icmp --icmp-type 8 --icmp-code 0 --icmp-id <p>',
  '-A -t <n> -s <4> -d <4> -p icmp --icmp-type <b> --icmp-code <b> --icmp-id <p>',
  '-A -t <n> -s <6> -d <6> -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id <p> --orig-zone <p>',
  '-A -t <n> -s <4> -d <4> -p sctp --sport <p> --dport <p> --state ESTABLISHED --orig-vtag <n> --reply-vtag <n>',
  '-A -t <n> -s <4> -d <4> -p dccp --sport <p> --dport <p> --state OPEN --role client',
  '-A -t <n> -s <4> -d <4> -p gre --srckey <p> --dstkey <p>',
  '-A -t <n> -s <4> -d <4> -p <b> -m <m>',
  '-A -t <n> -s <4> -d <4> -p udp --sport <p> --dport <p> -w <pz> --reply-zone <pz>',
  '-A -t <n> -s <4> -d <4> -p udp --sport <p> --dport <p> --orig-zone <pz> --reply-zone <pz>',
  '-A -t <n> -s <4> -d <4> -p tcp --sport <p> --dport <p> --state ESTABLISHED --tcp-wscale <b>,<b>',
  '-A -t <n> -s <4> -d <4> -p tcp --sport <p> --dport <p> --state ESTABLISHED --helper ftp -l 1,web',
  '-I --timeout=<n> --orig-src=<4> --orig-dst=<4> --protonum=tcp --sport=<p> --dport=<p> --state=LISTEN --mark=<m>',
  '-I -t<n> -s<4> -d<4> -ptcp --sport <p> --dport <p> --state NONE',
  '-A -t <n> -t <n> -s <4> -s <4> -d <4> -p udp --sport <p> --sport <p> --dport <p>',
  '-A -t <n> -m <m> -s <4> -d <4> -p udp --sport <p> --dport <p> -m <m>',
  '-A -t <n> -s <6> -d <6> -p udp --sport <p> --dport <p> -r <6> -r <6> -q <6>',
  '-A -t <n> -s <4> -s <6> -d <6> -p udp --sport <p> --dport <p>',
  '-A -t <n> -s <4> -d <6> -p udp --sport <p> --dport <p>',
  '-A -t <n> -s <4>/<b> -d <4> -p udp --sport <p> --dport <p>',
  '-A -t <n> -s <4> -d <4> -p udp --sport <p> --dport <p> -n <4>-<4>',
  '-A -t <n> -s <4> -d <4> -p udp --sport <p> --dport <p> -n <4>:<p>-<p>',
  '-D -t <n> -s <4> -d <4> -p udp --sport <p> --dport <p>',
  '-U -t <n> -s <4> -d <4> -p udp --sport <p> --dport <p> -m <m>',
];

const PLAIN = '0 1 2 7 15 63 64 80 127 128 255 256 300 1024 32768 65535'.split(' ');
const EDGES =
  '65536 4294967295 4294967296 18446744073709551615 18446744073709551616 -1 +5 0x10 0X1F 010 00 007 1e3 1.5 ٣ ½ x 5x 99999999999999999999999999'.split(
    ' ',
  );
const V4 = '0.0.0.0 1.2.3.4 10.0.0.1 127.0.0.1 192.0.2.1 224.0.0.1 255.255.255.255 203.0.113.255'.split(' ');
const ODD_V4 =
  '1.2.3 1.2.3.4.5 256.1.1.1 01.2.3.4 1.2.3.04 1.2..4 0x1.2.3.4 1.2.3.4/32 1.2.3.4:5 ::ffff:1.2.3.4 localhost 1'.split(' ');
const V6 =
  ':: ::1 1:: fe80::1 2001:db8::1 2001:db8:0:0:0:0:0:1 2001:0db8:0000:0000:0000:0000:0000:0001 1:2:3:4:5:6:7:8 ff02::fb ABCD::EF01 ::ffff:1.2.3.4 1::8 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8'.split(
    ' ',
  );
const ODD_V6 =
  '1:2:3 ::: 1::2::3 12345:: 1:2:3:4:5:6:7:8:9 fe80::1%lo ::1/64 g::1 1.2.3.4 ::1.2.3 ::ffff:1.2.3.256 :1:2:3:4:5:6:7 [::1]'.split(
    ' ',
  );
const DAMAGE = [
  '',
  ' ',
  '  ',
  '\t',
  '"',
  "'",
  '\\',
  '\0',
  '#',
  '=',
  '-',
  '\r',
  'é',
  '٣',
  '\u{1f600}',
  '0',
  '1',
  '.',
  ':',
  ',',
  '/',
  ' -t 5',
  ' -m 3',
  ' -s 1.2.3.4',
  ' #',
  '9'.repeat(30),
  ' --sport 7',
];

/** Lines of one file, in order, as bytes without newlines. */
export function likeLines(random: Random): Buffer[] {
  const shapes = random.sample(SHAPES, 1 + random.below(2));
  const lines: Buffer[] = [];
  // A template is made from the second line of a kind.
  for (let n = 0; n < 3; n++) for (const shape of shapes) lines.push(Buffer.from(filled(random, shape, 0)));
  const odd = random.pick([0.02, 0.1, 0.3]);
  for (let n = 0; n < 24; n++) {
    const line = Buffer.from(filled(random, random.pick(shapes), odd));
    lines.push(random.chance(0.25) ? damagedLine(random, line) : line);
  }
  return lines;
}

/** The shape with values. */
function filled(random: Random, shape: string, odd: number): string {
  const seen = new Map<string, string>();
  return shape.replace(/<(\w)(\w?)>/g, (_, kind: string, name: string) => {
    const known = seen.get(kind + name);
    // For translations, equal values have another meaning than different ones.
    if (known !== undefined && random.chance(name === '' ? 0.1 : 0.98)) return known;
    const value = anyValue(random, kind, random.chance(odd));
    seen.set(kind + name, value);
    return value;
  });
}

function anyValue(random: Random, kind: string, odd: boolean): string {
  switch (kind) {
    case '4':
      return odd
        ? random.pick(ODD_V4)
        : random.chance(0.5)
          ? random.pick(V4)
          : [0, 0, 0, 0].map(() => random.below(256)).join('.');
    case '6':
      return odd ? random.pick(ODD_V6) : random.chance(0.5) ? random.pick(V6) : randomIpv6(random);
    case 'm': {
      const mark = odd ? random.pick(EDGES) : String(random.below(random.pick([16, 0x100000000])));
      return odd || random.chance(0.02) ? `${mark}/${random.pick([...EDGES, '0xff', '0', '255'])}` : mark;
    }
    case 'b':
      return odd ? random.pick(EDGES) : String(random.below(random.pick([16, 256])));
    case 'p':
      return odd ? random.pick(EDGES) : random.chance(0.5) ? random.pick(PLAIN) : String(random.below(65536));
    default:
      return odd ? random.pick(EDGES) : random.chance(0.5) ? random.pick(PLAIN) : String(random.below(0x100000000));
  }
}

function randomIpv6(random: Random): string {
  const groups = Array.from({ length: 8 }, () => (random.chance(0.4) ? '0' : random.below(65536).toString(16)));
  const text = groups.join(':');
  return random.chance(0.5)
    ? text
        .replace(/\b0(?::0)+\b/, '')
        .replace(/^:(?!:)|([^:]):$/, '$1::')
        .replace(/^::?$/, '::')
    : text;
}

function damagedLine(random: Random, line: Buffer): Buffer {
  if (random.chance(0.05))
    return Buffer.concat([line, Buffer.from(random.pick([' ', 'x', ' -m 1', ' 7', '٣']).repeat(random.pick([10, 300, 1100])))]);
  const at = random.below(line.length + 1);
  if (random.chance(0.15))
    return Buffer.concat([line.subarray(0, at), Buffer.from([0x80 + random.below(128)]), line.subarray(at)]);
  const piece = Buffer.from(random.pick(DAMAGE));
  return Buffer.concat([line.subarray(0, at), piece, line.subarray(at + random.below(3))]);
}
