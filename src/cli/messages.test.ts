import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { KernelError } from '../errors.js';
import type { Invocation } from './invocation.js';
import { explain, failureLines } from './messages.js';

type Subject = Pick<Invocation, 'command' | 'table'>;
const refusal = (code: string, request = 'CT_NEW') => new KernelError(request, 1, code, 'plain reason');

suite('messages', () => {
  // docs/kernel.md 5: what the kernel can answer to each command.
  const CATALOGUE: readonly (readonly [subject: Subject, codes: string])[] = [
    [{ command: 'I', table: 'conntrack' }, 'EPERM ENOENT EEXIST EINVAL EBUSY EOPNOTSUPP ENOMEM ENOSPC ERANGE ETIME'],
    [{ command: 'A', table: 'conntrack' }, 'EPERM ENOENT EEXIST EINVAL EBUSY EOPNOTSUPP ENOMEM ENOSPC ERANGE ETIME'],
    [{ command: 'U', table: 'conntrack' }, 'EPERM EINVAL EBUSY EOPNOTSUPP ENOSPC ERANGE ETIME ENOMEM'],
    [{ command: 'D', table: 'conntrack' }, 'EPERM EINVAL EBUSY EOPNOTSUPP'],
    [{ command: 'F', table: 'conntrack' }, 'EPERM EINVAL EOPNOTSUPP'],
    [{ command: 'G', table: 'conntrack' }, 'EPERM ENOENT EINVAL EOPNOTSUPP'],
    [{ command: 'L', table: 'conntrack' }, 'EPERM EINVAL EOPNOTSUPP ENOBUFS EMFILE EPROTONOSUPPORT EAFNOSUPPORT'],
    [{ command: 'I', table: 'expect' }, 'EPERM ENOENT EEXIST EINVAL EBUSY EOPNOTSUPP EMFILE ETIME'],
    [{ command: 'D', table: 'expect' }, 'EPERM ENOENT EINVAL'],
    [{ command: 'G', table: 'expect' }, 'EPERM ENOENT EINVAL'],
    [{ command: 'F', table: 'expect' }, 'EPERM EINVAL'],
  ];
  for (const [subject, codes] of CATALOGUE)
    test(`-${subject.command} ${subject.table}: every refusal comes with what to do`, () => {
      for (const code of codes.split(' ')) {
        const { message, hint } = explain(refusal(code), subject);
        assert.match(message, /^cannot /, code);
        assert.doesNotMatch(message, /plain reason/, code);
        assert.ok(hint !== undefined && hint.length > 5, `${code}: ${message}`);
      }
    });

  test('an update that is refused after the list was read does not lack privilege', () => {
    const update: Subject = { command: 'U', table: 'conntrack' };
    assert.match(explain(refusal('EPERM'), update).message, /FIXED_TIMEOUT/);
    assert.match(explain(refusal('EPERM', 'CT_GET'), update).message, /permission denied/);
  });

  test('an error without a sentence of its own says what the kernel said', () => {
    const { message, hint } = explain(refusal('EIO'), { command: 'L', table: 'conntrack' });
    assert.equal(message, 'cannot list flows: plain reason');
    assert.equal(hint, undefined);
    assert.deepEqual(failureLines(message, hint), ['conntrack: cannot list flows: plain reason']);
    assert.deepEqual(failureLines('a', 'b'), ['conntrack: a', '  hint: b']);
  });
});
