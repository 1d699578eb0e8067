// One request and its answers: acknowledgements and single answers. Dumps: dump.ts.

import type { KernelError } from '../errors.js';
import { checkCount, type Request, type VisitMessage, walkBatch } from './answers.js';
import { EAGAIN, EPERM } from './errno.js';
import type { ReceiveBuffers } from './receive-buffers.js';
import type { Transport } from './transport.js';

/**
 * Sends a request that is not a dump and whose last message carries NLM_F_ACK; visits its answers until the acknowledgement. Everything
 * happens inside the call: the kernel has answered when send(2) returns.
 * @throws KernelError when the kernel refuses, NoAnswerError, SystemError, DecodeError
 */
export function transact(socket: Transport, buffers: ReceiveBuffers, request: Request, visit?: VisitMessage): void {
  socket.send(request.bytes, request.length);
  collect(socket, buffers, request, visit);
}

/** As `transact`, but sends on a thread of the pool, because the kernel does its work inside send(2). */
export async function transactAsync(
  socket: Transport,
  buffers: ReceiveBuffers,
  request: Request,
  visit?: VisitMessage,
): Promise<void> {
  await socket.sendAsync(request.bytes, request.length);
  collect(socket, buffers, request, visit);
}

/** Receives the answers to a request that was sent. */
function collect(socket: Transport, buffers: ReceiveBuffers, request: Request, visit: VisitMessage | undefined): void {
  const into = buffers.first;
  const visitor = visit ? { message: visit } : undefined;
  let refused: KernelError | undefined;
  const { failed } = request;
  const watched: Request = failed
    ? {
        ...request,
        failed: (index, error) => {
          refused = error;
          failed(index, error);
        },
      }
    : request;
  for (;;) {
    const count = socket.receive(into);
    // Without the privilege, the kernel refuses the whole datagram, in the name of its first message.
    if (count === -EAGAIN && refused?.errno === EPERM) throw refused;
    if (walkBatch(into, checkCount(count, request), watched, visitor)) return;
  }
}
