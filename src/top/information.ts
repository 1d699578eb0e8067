// What `i` shows: what the meter can and cannot say, with the commands that change that, its cost, and what the kernel counts.

import type { NamespaceSample } from '../meter/index.js';
import { count } from '../units.js';
import type { PictureFacts } from './picture.js';

export function informationLines({ sample, status, interval, ascii }: PictureFacts): string[] {
  const { counted } = sample;
  const sum = (both: { readonly original: number; readonly reply: number }) => `${count(both.original)} and ${count(both.reply)}`;
  return [
    ...status.notices.flatMap(({ text, remedy, netns }) => [
      `${ascii ? '*' : '•'} ${netns === undefined ? '' : `${netns}: `}${text}`,
      ...(remedy === undefined ? [] : [`    ${remedy}`]),
    ]),
    ...(status.notices.length > 0 ? [''] : []),
    `accounting ${status.accounting}   events ${status.events}   timestamps ${status.timestamps ? 'on' : 'off'}`,
    `a list every ${(interval / 1000).toFixed(1)} s   ${(100 * sample.cost).toFixed(1)} % of a processor   ${count(sample.flows)} flows metered`,
    '',
    'since top was started',
    `  flows begun ${count(counted.begun)}   ended ${count(counted.ended)}, unreplied ${count(counted.endedUnreplied)}, unseen ${count(counted.unseen)}   counters reset ${count(counted.resets)}`,
    `  bytes ${sum(counted.bytes)}`,
    `  packets ${sum(counted.packets)}`,
    ...sample.namespaces.flatMap(namespaceLines),
  ];
}

function namespaceLines({ name, entries, maxEntries, kernel, sysctls, sweepTime, sweepAge, lost }: NamespaceSample): string[] {
  const sysctl = Object.entries(sysctls).map(([key, value]) => `nf_conntrack_${key}=${value ?? '?'}`);
  return [
    '',
    `network namespace ${name}: ${count(entries)}${maxEntries === undefined ? '' : ` of ${count(maxEntries)}`} entries`,
    `  ${sysctl.join('  ')}`,
    `  dropped ${count(kernel.drop)}   dropped early ${count(kernel.earlyDrop)}   insert failed ${count(kernel.insertFailed)}   invalid ${count(kernel.invalid)}`,
    `  last list ${sweepTime.toFixed(2)} s, ${sweepAge.toFixed(1)} s ago   events lost ${count(lost)} times`,
  ];
}
