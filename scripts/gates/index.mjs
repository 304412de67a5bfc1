import { coreSize } from './core-size.mjs'
import { docExamples } from './doc-examples.mjs'
import { exportedNames } from './exported-names.mjs'
import { fileLength } from './file-length.mjs'
import { imports } from './imports.mjs'
import { links } from './links.mjs'
import { attw, biome, knip, publint, scriptTypes, types } from './tools.mjs'
import { trackedFiles } from './tracked-files.mjs'

/** All gates, quick ones first. Each is proven red in `gates.test.mjs`. */
export const GATES = [
  imports,
  fileLength,
  trackedFiles,
  links,
  biome,
  types,
  scriptTypes,
  docExamples,
  exportedNames,
  coreSize,
  publint,
  attw,
  knip,
]
