import { serve } from 'portzero'
import type { LiveServer } from 'portzero'

/** A server that answers only when `count` requests have come: whoever asks it meets the others. The caller closes it. */
export function openMeeting(count: number): Promise<LiveServer> {
  let arrived = 0
  let everybodyIsHere: () => void
  const complete = new Promise<void>((resolve) => (everybodyIsHere = resolve))
  return serve({
    fetch: async () => {
      arrived += 1
      if (arrived === count) everybodyIsHere()
      await complete
      return new Response('everybody is here')
    },
  })
}
