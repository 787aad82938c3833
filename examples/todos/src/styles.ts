/** The style sheet of every page. */
export const CSS: string = `
  :root { color-scheme: light dark; --accent: light-dark(#0f766e, #2dd4bf); --line: light-dark(#e2e8f0, #334155);
    --muted: light-dark(#64748b, #94a3b8); --error: light-dark(#b91c1c, #fca5a5); --card: light-dark(#fff, #1e293b) }
  * { box-sizing: border-box }
  body { margin: 0; padding: 3rem 1rem; font: 1rem/1.5 system-ui, sans-serif;
    background: light-dark(#f1f5f9, #0f172a); color: light-dark(#0f172a, #f1f5f9) }
  main { max-width: 32rem; margin: auto; padding: 1.75rem; background: var(--card);
    border: 1px solid var(--line); border-radius: 1rem; box-shadow: 0 8px 24px rgb(15 23 42 / .08) }
  header { display: flex; align-items: baseline; justify-content: space-between; margin-bottom: 1.25rem }
  h1 { margin: 0; font-size: 1.5rem; letter-spacing: -.02em }
  header p { margin: 0; color: var(--muted); font-size: .875rem }
  a { color: var(--accent) }
  input, button { font: inherit; color: inherit }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
  .add { display: grid; grid-template-columns: 1fr auto; gap: .5rem }
  .add label { grid-column: 1 / -1; color: var(--muted); font-size: .875rem }
  .add input { padding: .5rem .75rem; background: transparent; border: 1px solid var(--line); border-radius: .5rem }
  .add input[aria-invalid] { border-color: var(--error) }
  .add button { padding: .5rem 1rem; border: 0; border-radius: .5rem; cursor: pointer; font-weight: 600;
    background: var(--accent); color: var(--card) }
  .add [role=alert] { grid-column: 1 / -1; margin: 0; color: var(--error); font-size: .875rem }
  ul { margin: 1.25rem 0 0; padding: 0; list-style: none }
  li { display: flex; align-items: center; gap: .75rem; padding: .625rem 0; border-top: 1px solid var(--line) }
  li span { flex: 1; overflow-wrap: anywhere }
  .done { color: var(--muted); text-decoration: line-through }
  .toggle { display: grid; place-items: center; width: 1.375rem; height: 1.375rem; padding: 0; cursor: pointer;
    background: transparent; border: 2px solid var(--muted); border-radius: 50% }
  .toggle[aria-checked=true] { background: var(--accent); border-color: var(--accent) }
  .toggle[aria-checked=true]::after { content: '✓'; font-size: .75rem; line-height: 1; color: var(--card) }
  .delete { padding: 0 .5rem; font-size: 1.25rem; line-height: 1; cursor: pointer; color: var(--muted);
    background: none; border: 0; border-radius: .375rem }
  .delete:hover { color: var(--error) }
`
