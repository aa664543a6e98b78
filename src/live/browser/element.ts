/** A new element with these attributes and children. A text among the children stays text. */
export function element<K extends keyof HTMLElementTagNameMap> (
  name: K, attributes: Readonly<Record<string, string>> = {}, ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

/** The element of page.html with this id. */
export function byId (id: string): HTMLElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`page.html has no element '${id}'`)
  return found
}

/** Writes the text, and leaves the document alone where it is there already. */
export function setText (node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text
}

/** Writes the attribute, and leaves the document alone where it is there already. */
export function setAttribute (node: Element, name: string, value: string): void {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value)
}
