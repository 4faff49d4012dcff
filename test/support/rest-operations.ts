/** What an OpenAPI document says of a request: with which statuses its operation answers. */

export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>;
}

/** The statuses that are listed for `method` and `path`; undefined when that is no operation. */
export function statusesOf({ paths }: OpenApiDocument, method: string, path: string): readonly string[] | undefined {
  const asked = (path.split('?', 1)[0] ?? '').split('/');
  const found = Object.entries(paths).find(([template]) => {
    const segments = template.split('/');
    return segments.length === asked.length && segments.every((segment, at) => isFilled(segment, asked[at] ?? ''));
  });
  const responses = found?.[1][method.toLowerCase()]?.responses;
  return responses && Object.keys(responses);
}

const isFilled = (segment: string, asked: string): boolean =>
  segment.startsWith('{') ? asked !== '' : segment === asked;
