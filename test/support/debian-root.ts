// A Debian system to install packages in, and to throw away: this machine's own files below a layer that takes the changes, in a mount and
// network namespace that nobody else sees. It costs nothing to make, and has dpkg, systemd's tools and Debian's conntrack.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Layers are kept on a file system in memory, which can always be one. No index of the manual: it takes longer than all the rest. */
const SET_UP = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=\${2:-/},upperdir=$1/upper,workdir=$1/work" "$1/root"
for name in proc sys dev; do mount --rbind "/$name" "$1/root/$name"; done
mount -t tmpfs tmpfs "$1/root/tmp"
mkdir "$1/root/tmp/packages"
mount --bind "$3" "$1/root/tmp/packages"
rm -f "$1/root/var/lib/man-db/auto-update"
echo ready
exec cat`;

export interface Outcome {
  readonly status: number | null;
  /** Standard output, then standard error. */
  readonly text: string;
}

export class DebianRoot implements Disposable {
  readonly #holder: ChildProcess;
  readonly #folder: string;

  private constructor(holder: ChildProcess, folder: string) {
    this.#holder = holder;
    this.#folder = folder;
  }

  /**
   * @param packages a folder that is seen as /tmp/packages
   * @param lower the files below the layer; this machine's if it is left out
   */
  static async start(packages: string, lower = '/'): Promise<DebianRoot> {
    const folder = mkdtempSync(join(tmpdir(), 'conntrack-debian-'));
    const holder = spawn('unshare', ['--mount', '--net', 'sh', '-c', SET_UP, 'sh', folder, lower, packages], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const root = new DebianRoot(holder, folder);
    const said = await Promise.race([once(holder.stdout!, 'data'), once(holder, 'close')]);
    if (String(said[0]) === 'ready\n') return root;
    root[Symbol.dispose]();
    throw new Error('no layer can be mounted above this machine');
  }

  run(...words: readonly string[]): Outcome {
    const into = [`--target=${this.#holder.pid}`, '--mount', '--net', 'chroot', join(this.#folder, 'root')];
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
    const { status, stdout, stderr } = spawnSync('nsenter', [...into, ...words], { encoding: 'utf8', env, maxBuffer: 2 ** 26 });
    return { status, text: stdout + stderr };
  }

  /** Runs what must succeed. @returns what it says */
  must(...words: readonly string[]): string {
    const { status, text } = this.run(...words);
    assert.equal(status, 0, `${words.join(' ')}: ${text}`);
    return text;
  }

  [Symbol.dispose](): void {
    // Its end unmounts everything.
    this.#holder.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
