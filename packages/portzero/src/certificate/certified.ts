import { parseAdvertised } from '../advertise.ts'
import type { Settings } from '../options.ts'

/**
 * The settings with the certificate that `https` takes. It is made by the process that owns the server, and handed to each life of the app,
 * wherever that is: whoever trusts one of them trusts those that follow.
 */
export async function certified(settings: Settings): Promise<Settings> {
  const { https, certificate, host, advertise } = settings
  if (!https || certificate !== undefined) return settings
  // What it takes is loaded where it is needed.
  const { certificateFor } = await import('./certificate.ts')
  const advertised = advertise === undefined ? undefined : parseAdvertised(advertise)
  return { ...settings, certificate: await certificateFor(host, advertised?.hostname) }
}
