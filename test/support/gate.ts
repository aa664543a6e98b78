/** What a callback waits for until the test opens it. */
export interface Gate {
  readonly opened: Promise<void>
  open (): void
}

/** A gate that is still closed. */
export function gate (): Gate {
  let open = () => {}
  const opened = new Promise<void>((resolve) => { open = resolve })
  return { opened, open }
}
