// Parts of a JSON Schema, for the files that describe our JSON.

/** A schema, or a part of one. */
export type Schema = { readonly [keyword: string]: unknown };
export type SchemaMembers = Readonly<Record<string, Schema>>;

export const U32 = 0xffffffff;
export const integer = (maximum: number, description?: string): Schema => ({
  type: 'integer',
  minimum: 0,
  maximum,
  ...(description ? { description } : {}),
});
export const ref = (name: string, description?: string): Schema => ({
  $ref: `#/$defs/${name}`,
  ...(description ? { description } : {}),
});
export const described = (schema: Schema, description: string): Schema => ({ ...schema, description });
export const array = (items: Schema, description?: string): Schema => ({
  type: 'array',
  items,
  ...(description ? { description } : {}),
});
export const object = (description: string, properties: SchemaMembers, required: readonly string[] = []): Schema => ({
  type: 'object',
  description,
  properties,
  ...(required.length > 0 ? { required } : {}),
  additionalProperties: false,
});
