// A small validator of JSON Schema 2020-12, for the keywords that our schema uses; any other keyword is an error.

type Schema = { readonly [keyword: string]: unknown };

/** What is wrong with a value, if anything. */
export function schemaFault(root: Schema, value: unknown, schema: Schema = root, path = '$'): string | undefined {
  for (const [keyword, rule] of Object.entries(schema)) {
    const fault = check(root, keyword, rule, value, schema, path);
    if (fault) return fault;
  }
  return undefined;
}

function check(root: Schema, keyword: string, rule: unknown, value: unknown, schema: Schema, path: string): string | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  switch (keyword) {
    case '$schema':
    case '$id':
    case '$defs':
    case 'title':
    case 'description':
      return undefined;
    case '$ref': {
      const name = /^#\/\$defs\/(\w+)$/.exec(rule as string)![1]!;
      return schemaFault(root, value, (root['$defs'] as Record<string, Schema>)[name]!, path);
    }
    case 'type': {
      const is = {
        object: isObject,
        array: Array.isArray(value),
        string: typeof value === 'string',
        integer: Number.isInteger(value),
        number: typeof value === 'number' && Number.isFinite(value),
        null: value === null,
      }[rule as string];
      if (is === undefined) throw new Error(`type ${rule} is not known to the test`);
      return is ? undefined : `${path} is no ${rule}: ${JSON.stringify(value)}`;
    }
    case 'enum':
      return (rule as unknown[]).includes(value) ? undefined : `${path} is none of ${rule}: ${JSON.stringify(value)}`;
    case 'const':
      return rule === value ? undefined : `${path} is not ${rule}`;
    case 'minimum':
      return typeof value === 'number' && value < (rule as number) ? `${path} is below ${rule}` : undefined;
    case 'maximum':
      return typeof value === 'number' && value > (rule as number) ? `${path} is above ${rule}` : undefined;
    case 'pattern':
      return typeof value === 'string' && !new RegExp(rule as string).test(value) ? `${path} does not match ${rule}` : undefined;
    case 'items':
      if (!Array.isArray(value)) return undefined;
      return first(value.map((item, i) => () => schemaFault(root, item, rule as Schema, `${path}[${i}]`)));
    case 'anyOf': {
      const faults = (rule as Schema[]).map((each) => schemaFault(root, value, each, path));
      return faults.includes(undefined) ? undefined : `${path} fits nothing: ${faults.join('; ')}`;
    }
    case 'properties':
      if (!isObject) return undefined;
      return first(
        Object.entries(rule as Record<string, Schema>).map(
          ([name, each]) =>
            () =>
              name in value ? schemaFault(root, (value as Record<string, unknown>)[name], each, `${path}.${name}`) : undefined,
        ),
      );
    case 'required': {
      const missing = isObject ? (rule as string[]).find((name) => !(name in value)) : undefined;
      return missing === undefined ? undefined : `${path}.${missing} is missing`;
    }
    case 'additionalProperties': {
      const known = schema['properties'] as Record<string, Schema>;
      const unknown = isObject ? Object.keys(value).find((name) => !(name in known)) : undefined;
      return unknown === undefined ? undefined : `${path}.${unknown} is not known`;
    }
    default:
      throw new Error(`keyword ${keyword} is not known to the test`);
  }
}

function first(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const each of checks) {
    const fault = each();
    if (fault) return fault;
  }
  return undefined;
}
