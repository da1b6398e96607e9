import { batch } from './batch.mjs';
import { depth } from './depth.mjs';
import { get } from './get.mjs';
import { list } from './list.mjs';
import { memory } from './memory.mjs';
import { post, postOne } from './post.mjs';
import { stats } from './stats.mjs';

/** What is measured, in the order of the requirements. */
export const ROWS = [post, postOne, get, list, batch, stats, depth, memory];
