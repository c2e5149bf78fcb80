/** What the menu of the status bar offers in each state. */

import type { State } from './status';

export interface Choice {
  label: string;
  description?: string;
  command: string;
  args?: unknown[];
}

/** The choices of the menu, most useful first. */
export function menuOf(state: State, extensionId: string): Choice[] {
  const looking: Choice[] = [
    { label: '$(output) Show logs', command: 'quicksilver.showLogs' },
    { label: '$(settings-gear) Settings', command: 'workbench.action.openSettings', args: [`@ext:${extensionId}`] },
  ];
  const restart: Choice = { label: '$(debug-restart) Restart the language server', command: 'quicksilver.restart' };
  switch (state.kind) {
    case 'missing':
      return [
        { label: '$(cloud-download) Install the language server…', command: 'quicksilver.installServer' },
        { label: '$(folder) Say where it is', command: 'quicksilver.openSettings', args: ['quicksilver.path'] },
        { ...restart, label: '$(refresh) Look again' },
        ...looking,
      ];
    case 'idle':
      return [{ ...restart, label: '$(play) Start the language server' }, ...looking];
    case 'launching':
    case 'stopped':
      return [restart, ...looking];
    case 'running':
      return [...choicesOfRunning(state.status.state), restart, ...looking];
  }
}

function choicesOfRunning(state: string): Choice[] {
  const off: Choice = { label: '$(circle-slash) Switch off', description: 'for this session', command: 'quicksilver.toggle' };
  const on: Choice = { ...off, label: '$(check) Switch on' };
  const snooze: Choice = { label: '$(bell-slash) Snooze for 10 minutes', command: 'quicksilver.snooze', args: [10] };
  const wake: Choice = { label: '$(bell) End the snooze', command: 'quicksilver.snooze', args: [0] };
  const others: Choice[] = [
    { label: '$(question) Why is there no completion?', command: 'quicksilver.why' },
    {
      label: '$(refresh) Restart the engine',
      description: 'all editor windows share it',
      command: 'quicksilver.restartEngine',
    },
  ];
  switch (state) {
    case 'off':
      return [on, ...others];
    case 'snoozed':
      return [wake, off, ...others];
    default:
      return [off, snooze, ...others];
  }
}
