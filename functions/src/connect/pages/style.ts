/**
 * The one style sheet. Colours keep a contrast of 4.5:1 and more, light and dark (WCAG 2.2 AA). Space
 * at the sides does not grow with the text, and headings grow less, so that words stay whole on a
 * phone with large text.
 */
export const STYLE = `
:root { color-scheme: light dark; font: 100%/1.6 system-ui, sans-serif;
  --ground: #f4f6f8; --card: #fff; --ink: #1b2026; --soft: #4d5661; --line: #d3d9e0;
  --accent: #0b57d0; --on-accent: #fff; --notice: #fff4dd; --notice-line: #b26a00; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #121518; --card: #1c2025; --ink: #e6e9ed; --soft: #a8b1bc; --line: #3b424b;
  --accent: #a8c7fa; --on-accent: #062e6f; --notice: #33290f; --notice-line: #e0a94a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 36rem; padding: 2rem min(1rem, 5%); background: var(--ground);
  color: var(--ink); overflow-wrap: anywhere; }
header { display: flex; align-items: center; gap: .75rem; padding: 0 .25rem 1rem;
  font-weight: 600; color: var(--soft); }
header img { max-width: 8rem; height: 2rem; object-fit: contain; }
main { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1.5rem min(1.5rem, 7.5%) 2rem; }
h1 { margin: 0 0 1rem; font-size: clamp(1.25rem, 6.5vw, 1.5rem); line-height: 1.25;
  text-wrap: balance; }
p { margin: 0 0 1rem; }
dl { margin: 0 0 1rem; }
main > :last-child { margin-bottom: 0; }
dt { color: var(--soft); font-size: .9rem; }
dd { margin: 0 0 .75rem; font-weight: 600; }
a { color: var(--accent); }
form { margin: 1.5rem 0 0; }
form + p { margin: 1rem 0 0; }
form p, footer { color: var(--soft); font-size: .9rem; }
footer { padding: 1rem .25rem; }
.notice { background: var(--notice); border-inline-start: .25rem solid var(--notice-line);
  border-radius: .25rem; padding: .75rem min(1rem, 6%); }
button, .button { display: inline-block; font: inherit; font-weight: 600;
  padding: .65rem min(1.25rem, 7.5%); border: 1px solid var(--accent); border-radius: .5rem; background: var(--accent);
  color: var(--on-accent); text-align: center; text-decoration: none; cursor: pointer; }
button.quiet { background: transparent; border-color: var(--soft); color: var(--ink); }
.google { display: inline-flex; align-items: center; gap: .625rem; padding: .625rem .75rem;
  background: #fff; border-color: #747775; color: #1f1f1f; font-family: Roboto, system-ui, sans-serif;
  font-weight: 500; text-align: start; }
.google svg { flex: none; width: 1.25rem; height: 1.25rem; }
@media (prefers-color-scheme: dark) {
  .google { background: #131314; border-color: #8e918f; color: #e3e3e3; } }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
`;
