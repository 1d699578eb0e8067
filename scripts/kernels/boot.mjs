// Runs one command on another kernel: QEMU boots it with this machine's file system as the guest's root, so that the same
// checkout, Node.js and conntrack run there. What the guest writes stays in its memory.

import { spawn } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { packInitrd } from './fetch.mjs';

const HERE = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
const QEMU = 'qemu-system-x86_64';
/** Without wide vector instructions, which the machine's libraries would use and QEMU would have to emulate one by one. */
const EMULATED_CPU = 'Nehalem';
/** How often the guest's output is read, in milliseconds. */
const LOOK = 200;

// A guest is stopped on `exit`, which a signal alone does not cause.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(128 + constants.signals[signal]));

/**
 * Boots, runs, and waits for the end.
 * @param kernel what `provideKernel` gives
 * @param job folder and words of the command, its environment, what to do with its output, seconds until it is stopped; a `disk`: the image
 * that is the guest's /dev/vda, and where what is written to it goes as well, in order (the form of Linux's dm-log-writes)
 * @returns the command's exit status
 * @throws Error when the guest fails or the time is up, with the kernel's last words
 */
export async function runInGuest(
  kernel,
  { folder, argv, environment = {}, seconds, memory = 3072, cpus = 2, accel = 'tcg', disk, onOutput, onError },
) {
  const work = mkdtempSync(join(tmpdir(), 'conntrack-kernel-'));
  const file = (name) => join(work, name);
  for (const name of ['out', 'err', 'status', 'console']) writeFileSync(file(name), '');
  makeInitrd(kernel, work, { folder, argv, environment });
  const port = (name, number) => [
    ...['-chardev', `file,id=${name},path=${file(name)}`],
    ...['-device', `virtserialport,nr=${number},chardev=${name}`],
  ];
  const qemu = spawn(
    QEMU,
    [
      ...['-nodefaults', '-display', 'none', '-no-reboot', '-machine', 'pc'],
      ...['-accel', accel, '-cpu', accel === 'kvm' ? 'host' : EMULATED_CPU, '-smp', `${cpus}`, '-m', `${memory}`],
      ...['-kernel', kernel.image, '-initrd', file('initrd.img')],
      ...['-append', 'console=ttyS0 panic=-1 quiet mitigations=off'],
      ...['-serial', `file:${file('console')}`, '-device', 'virtio-serial-pci'],
      ...port('out', 1),
      ...port('err', 2),
      ...port('status', 3),
      ...(disk ? diskOf(disk) : []),
      ...['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const stop = () => qemu.kill('SIGKILL');
  process.once('exit', stop);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, seconds * 1000);
  const relays = [new Relay(file('out'), onOutput), new Relay(file('err'), onError)];
  const look = () => {
    for (const relay of relays) relay.look();
  };
  const looking = setInterval(look, LOOK);
  try {
    await new Promise((resolve, reject) => {
      qemu.on('error', reject);
      qemu.on('exit', resolve);
    });
    look();
    const status = readFileSync(file('status'), 'utf8').trim();
    if (status !== '') return Number(status);
    const said = readFileSync(file('console'), 'utf8').split('\n').slice(-30).join('\n');
    throw new Error(
      `${late ? `stopped after ${seconds} s` : 'the guest failed'}${said.trim() === '' ? '' : `; the kernel said:\n${said}`}`,
    );
  } finally {
    clearTimeout(timer);
    clearInterval(looking);
    process.off('exit', stop);
    for (const relay of relays) relay.close();
    rmSync(work, { recursive: true, force: true });
  }
}

/** A disk with a cache that loses what was not flushed when power fails. */
function diskOf({ image, log }) {
  return [
    ...['-blockdev', `driver=file,node-name=image,filename=${image}`],
    ...['-blockdev', `driver=file,node-name=log,filename=${log}`],
    ...['-blockdev', 'driver=blklogwrites,node-name=disk,file=image,log=log'],
    ...['-device', 'virtio-blk-pci,drive=disk,write-cache=on'],
  ];
}

/** Hands on what is appended to a file. */
class Relay {
  #fd;
  #take;
  #bytes = Buffer.alloc(65536);

  constructor(path, take = () => {}) {
    this.#fd = openSync(path, 'r');
    this.#take = take;
  }

  look() {
    for (let count = 1; count > 0; ) {
      count = readSync(this.#fd, this.#bytes, 0, this.#bytes.length, null);
      if (count > 0) this.#take(Buffer.from(this.#bytes.subarray(0, count)));
    }
  }

  close() {
    closeSync(this.#fd);
  }
}

/** The kernel's initrd, followed by one with the guest's two scripts and what is particular to this run. */
function makeInitrd(kernel, work, { folder, argv, environment }) {
  const files = join(work, 'initrd');
  mkdirSync(files);
  const put = (name, text) => {
    writeFileSync(join(files, name), text);
    chmodSync(join(files, name), 0o755);
  };
  put('init', readFileSync(join(HERE, 'guest-init.sh')));
  put('job', readFileSync(join(HERE, 'guest-job.sh')));
  put('modules', `${kernel.modules}\n`);
  const words = Object.entries({ PATH: process.env.PATH, HOME: process.env.HOME, LANG: 'C.UTF-8', TERM: 'dumb', ...environment })
    .map(([name, value]) => `${name}=${value}`)
    .concat(argv);
  put('command', `cd ${quote(folder)}\nset -- env -i ${words.map(quote).join(' ')}\n`);
  packInitrd(kernel.busybox, files, join(work, 'job.img'));
  writeFileSync(join(work, 'initrd.img'), Buffer.concat([readFileSync(kernel.initrd), readFileSync(join(work, 'job.img'))]));
}

const quote = (word) => `'${word.replaceAll("'", "'\\''")}'`;
