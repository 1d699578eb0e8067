// Closes things that are dropped without being closed.

const forgotten = new FinalizationRegistry((resource: { close(): void }) => resource.close());

/**
 * Closes `resource` some time after `owner` has become unreachable, or never. `resource` must not refer to `owner`, and its `close` must
 * be idempotent.
 */
export function closeWhenForgotten(owner: object, resource: { close(): void }): void {
  forgotten.register(owner, resource);
}
