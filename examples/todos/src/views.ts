import { html, raw } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'
import { CSS } from './styles.ts'
import type { Todo } from './todos.ts'

/** Markup whose values are escaped. */
export type Html = HtmlEscapedString | Promise<HtmlEscapedString>

/** What could not be added, and why. */
export interface Rejected {
  entered: string
  message: string
}

/** The list, with the form that adds to it. */
export function todosPage(todos: Todo[], rejected?: Rejected): Html {
  const left = todos.filter(({ done }) => !done).length
  return layout(
    'Todos',
    html`
      <header>
        <h1>Todos</h1>
        <p role="status">
          ${todos.length === 0 ? 'Nothing to do' : `${left} of ${todos.length} left`}
        </p>
      </header>
      ${addForm(rejected)}
      ${
        todos.length > 0 &&
        html`<ul aria-label="Todos">
          ${todos.map(todoItem)}
        </ul>`
      }
    `,
  )
}

/** A page that only says what is wrong. */
export function errorPage(title: string, text: string): Html {
  return layout(
    title,
    html`
      <header><h1>${title}</h1></header>
      <p>${text} <a href="/">Back to the list</a></p>
    `,
  )
}

function addForm(rejected: Rejected | undefined): Html {
  return html`
    <form class="add" method="post" action="/todos">
      <label for="title">What needs to be done?</label>
      <input
        id="title"
        name="title"
        value="${rejected?.entered ?? ''}"
        autocomplete="off"
        autofocus
        ${rejected && raw('aria-invalid="true" aria-describedby="title-error"')}
      />
      <button>Add</button>
      ${rejected && html`<p id="title-error" role="alert">${rejected.message}</p>`}
    </form>
  `
}

function todoItem({ id, title, done }: Todo): Html {
  return html`
    <li>
      <form method="post" action="/todos/${id}/toggle">
        <button
          class="toggle"
          role="checkbox"
          aria-checked="${String(done)}"
          aria-labelledby="todo-${id}"
          name="done"
          value="${String(!done)}"
        ></button>
      </form>
      <span id="todo-${id}" class="${done ? 'done' : ''}">${title}</span>
      <form method="post" action="/todos/${id}/delete">
        <button class="delete" aria-label="Delete ${title}">×</button>
      </form>
    </li>
  `
}

function layout(title: string, content: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        <style>
          ${raw(CSS)}
        </style>
      </head>
      <body>
        <main>${content}</main>
      </body>
    </html>`
}
