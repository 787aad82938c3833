import { serve } from 'portzero'
import { expect, test } from 'vitest'

test('what a factory opens after its start was given up is closed', async () => {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  let close = (): void => {}
  const closed = new Promise<void>((resolve) => (close = resolve))

  const start = serve(
    async ({ onClose }) => {
      await opened
      onClose(close)
    },
    { startTimeout: 10 },
  )
  await expect(start).rejects.toMatchObject({ code: 'START_TIMEOUT' })

  open()
  await expect(closed).resolves.toBeUndefined()
})
