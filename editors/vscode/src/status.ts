/** What the status bar says: words for a state. */

/** The parameters of `quicksilver/status`, as docs/protocol.md has them. */
export interface ServerStatus {
  state: 'starting' | 'ready' | 'busy' | 'off' | 'snoozed' | 'failed';
  message: string;
  latency_ms: number | null;
  model: string | null;
  snoozed_until_ms: number | null;
  counts?: Counts;
  why?: string[];
}

export interface Counts {
  shown: number;
  accepted: number;
  partially_accepted: number;
  rejected: number;
  characters: number;
}

/** What is known of the server: what it says of itself, or why it cannot. */
export type State =
  | { kind: 'idle' }
  | { kind: 'missing'; reason: string; wrongSetting: boolean }
  | { kind: 'launching' }
  | { kind: 'stopped'; reason: string }
  | { kind: 'running'; status: ServerStatus };

/** How a state looks in the status bar. */
export interface Face {
  text: string;
  spoken: string;
  lines: string[];
  severity: 'normal' | 'warning' | 'error';
}

const STATES: readonly string[] = ['starting', 'ready', 'busy', 'off', 'snoozed', 'failed'];

/** The status in an answer or a notification; undefined for anything else. */
export function readStatus(value: unknown): ServerStatus | undefined {
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  const status = value as Partial<Record<keyof ServerStatus, unknown>>;
  if (typeof status.state !== 'string' || !STATES.includes(status.state)) {
    return undefined;
  }
  const number = (given: unknown): number | null => (typeof given === 'number' && Number.isFinite(given) ? given : null);
  return {
    state: status.state as ServerStatus['state'],
    message: typeof status.message === 'string' ? status.message : '',
    latency_ms: number(status.latency_ms),
    model: typeof status.model === 'string' ? status.model : null,
    snoozed_until_ms: number(status.snoozed_until_ms),
    ...(typeof status.counts === 'object' && status.counts !== null ? { counts: status.counts as Counts } : {}),
    ...(Array.isArray(status.why) ? { why: status.why.filter((line) => typeof line === 'string') } : {}),
  };
}

/** A duration for people: `31 ms`, `1.2 s`. */
export function duration(ms: number): string {
  return ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** How a state looks. `clock` writes a time of day as the person's region does. */
export function faceOf(state: State, clock: (ms: number) => string): Face {
  switch (state.kind) {
    case 'idle':
      return face('$(circle-outline) Quicksilver', 'waiting', ['Starts when you open a file in one of its languages.']);
    case 'missing':
      return face('$(warning) Quicksilver', 'no language server', [state.reason], 'warning');
    case 'launching':
      return face('$(loading~spin) Quicksilver', 'starting', ['The language server is starting.']);
    case 'stopped':
      return face('$(error) Quicksilver', 'stopped', [state.reason], 'error');
    case 'running':
      return faceOfRunning(state.status, clock);
  }
}

function faceOfRunning(status: ServerStatus, clock: (ms: number) => string): Face {
  const lines = [status.message, ...aboutModel(status), ...aboutCounts(status.counts)].filter((line) => line !== '');
  const latency = status.latency_ms === null ? '' : ` ${duration(status.latency_ms)}`;
  switch (status.state) {
    case 'starting':
      return face('$(loading~spin) Quicksilver', 'starting', lines);
    case 'ready':
      return face(`$(sparkle) Quicksilver${latency}`, 'ready', lines);
    case 'busy':
      return face(`$(loading~spin) Quicksilver${latency}`, 'working', lines);
    case 'off':
      return face('$(circle-slash) Quicksilver', 'off', lines);
    case 'snoozed': {
      const until = status.snoozed_until_ms === null ? '' : ` until ${clock(status.snoozed_until_ms)}`;
      return face(`$(bell-slash) Quicksilver${until}`, `snoozed${until}`, lines);
    }
    case 'failed':
      return face('$(error) Quicksilver', 'failed', lines, 'error');
  }
}

function face(text: string, spoken: string, lines: string[], severity: Face['severity'] = 'normal'): Face {
  return { text, spoken: `Quicksilver: ${spoken}`, lines, severity };
}

function aboutModel(status: ServerStatus): string[] {
  return status.model === null || status.message.includes(status.model) ? [] : [`Model: ${status.model}`];
}

function aboutCounts(counts: Counts | undefined): string[] {
  if (counts === undefined || !(counts.shown > 0)) {
    return [];
  }
  const partly = counts.partially_accepted > 0 ? `, ${counts.partially_accepted} in part` : '';
  const characters = counts.characters > 0 ? `: ${counts.characters} characters` : '';
  return [`Shown ${counts.shown}, taken ${counts.accepted}${partly}${characters}`];
}
