// What becomes of things that are dropped without being closed.

const forgotten = new FinalizationRegistry((resource: { close(): void }) => resource.close());

/**
 * Closes `resource` when the collector finds that nobody can reach `owner`; some time after that, or never. `resource` must not lead
 * to `owner`, and its `close` must be idempotent.
 */
export function closeWhenForgotten(owner: object, resource: { close(): void }): void {
  forgotten.register(owner, resource);
}
