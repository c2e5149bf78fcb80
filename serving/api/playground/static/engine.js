// The engine behind the page: who we are to it, which model it has, and filling holes.
import { EventReader } from './events.js';

const KEY = 'quicksilver.session';

/** @typedef {{ title: string, language: string, path: string, prefix: string, hole: string, suffix: string }} Example */
/** @typedef {{ status: string, reason: string, model: string, facts: Record<string, string | number>,
 *   policies: string[], examples: Example[] }} Models */
/** @typedef {{ prefix: string, suffix: string, language: string, path: string, multiline: boolean,
 *   mode: 'canvas' | 'left-to-right', policy: string | null, budget_ms: number | null, max_tokens: number | null,
 *   candidates: boolean }} Hole */
/** @typedef {{ text: string, source: string, confidence: number, n_tokens: number }} Candidate */

/** The engine wants to know who asks. */
export class AccessError extends Error {}

/** The engine could not answer; the message is for people. */
export class AnswerError extends Error {}

/** Exchange the one-time code in the page's address, if there is one, for a session, and take it out of the address. */
export async function openSession() {
  const code = new URLSearchParams(location.hash.slice(1)).get('token');
  if (code === null) {
    return;
  }
  history.replaceState(null, '', location.pathname);
  const reply = await fetch('/playground/session', { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ code }) });
  if (!reply.ok) {
    throw new AccessError(await messageOf(reply));
  }
  useKey((await reply.json()).token);
}

/** Ask with this key from now on, as long as the page's tab is open. @param {string} key */
export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** @returns {Promise<Models>} */
export async function readModels() {
  return (await ask('/playground/models', {})).json();
}

/**
 * Fill a hole; each event is told as it comes. Aborting stops the engine's work within a step.
 * @param {Hole} hole
 * @param {(event: any) => void} tell
 * @param {AbortSignal} signal
 */
export async function fill(hole, tell, signal) {
  const reply = await ask('/playground/fill', { method: 'POST', body: JSON.stringify(hole), signal });
  const reader = new EventReader();
  const body = /** @type {ReadableStream<Uint8Array>} */ (reply.body).getReader();
  for (let part = await body.read(); !part.done; part = await body.read()) {
    for (const event of reader.read(part.value)) {
      const error = /** @type {any} */ (event).error;
      if (error !== undefined) {
        throw new AnswerError(error.message);
      }
      tell(event);
    }
  }
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** @param {string} address @param {RequestInit} options */
async function ask(address, options) {
  const headers = { ...JSON_TYPE, Authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ''}` };
  /** @type {Response} */
  let reply;
  try {
    reply = await fetch(address, { ...options, headers });
  } catch (error) {
    if (options.signal?.aborted) {
      throw error;
    }
    throw new AnswerError('nothing answers any more: was the command ended?');
  }
  if (reply.status === 401) {
    throw new AccessError(await messageOf(reply));
  }
  if (!reply.ok) {
    throw new AnswerError(await messageOf(reply));
  }
  return reply;
}

/** @param {Response} reply */
async function messageOf(reply) {
  try {
    return (await reply.json()).error.message;
  } catch {
    return `the engine answered with status ${reply.status}`;
  }
}
