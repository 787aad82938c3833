import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { clean } from './run-project.ts'

const cwd = join(import.meta.dirname, '../examples/screenshots')

test.each(['start', 'start:api'])('npm run %s takes the pictures', async (script) => {
  const folder = await mkdtemp(join(tmpdir(), 'portzero-screenshots-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const { status, stdout, stderr } = spawnSync('npm', ['run', script, '--', folder], {
    cwd,
    encoding: 'utf8',
    env: clean(process.env),
    timeout: 100_000,
  })
  expect({ status, stderr }).toMatchObject({ status: 0 })
  expect(stdout).toContain('/menu → menu.png')

  const files = await readdir(folder)
  expect(files.toSorted()).toEqual(['contact-sheet.png', 'home.png', 'menu.png', 'visit.png'])
  const pictures = await Promise.all(files.map((file) => readFile(join(folder, file))))
  for (const [index, picture] of pictures.entries()) {
    const { width, height, drawn } = look(picture)
    expect(width).toBe(1280)
    expect(height).toBeGreaterThanOrEqual(files[index] === 'contact-sheet.png' ? 700 : 720)
    expect(drawn).toBeGreaterThan(2_000)
  }
  expect(new Set(pictures.map((picture) => picture.toString('latin1'))).size).toBe(4)
})

/** The size of a PNG, and how many of its bytes are not as those before them: hardly any, where it is blank. */
function look(png: Buffer): { width: number; height: number; drawn: number } {
  const data: Buffer[] = []
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at)
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') {
      data.push(png.subarray(at + 8, at + 8 + length))
    }
    at += length + 12
  }
  const drawn = inflateSync(Buffer.concat(data)).filter((byte) => byte !== 0).length
  return { width: png.readUInt32BE(16), height: png.readUInt32BE(20), drawn }
}
