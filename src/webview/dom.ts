/** Making elements: text stays text, and styles go through the object model, as the content security policy demands. */

export interface ElementOptions {
  readonly class?: string;
  readonly text?: string;
  readonly title?: string;
  readonly role?: string;
  readonly id?: string;
  /** `aria-` attributes, without the prefix. */
  readonly aria?: Readonly<Record<string, string | number>>;
}

type Child = Node | string | undefined;

export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  options: ElementOptions = {},
  children: readonly Child[] = [],
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  if (options.class !== undefined) made.className = options.class;
  if (options.text !== undefined) made.textContent = options.text;
  if (options.title !== undefined) made.title = options.title;
  if (options.role !== undefined) made.setAttribute('role', options.role);
  if (options.id !== undefined) made.id = options.id;
  for (const [key, value] of Object.entries(options.aria ?? {})) made.setAttribute(`aria-${key}`, String(value));
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** Writes only what differs, so that nothing is laid out again without need. */
export function setText(target: Node, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}
