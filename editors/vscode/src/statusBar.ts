/** The item in the status bar. */

import { MarkdownString, StatusBarAlignment, ThemeColor, window, type StatusBarItem } from 'vscode';
import { faceOf, type State } from './status';

export function createStatusBarItem(): StatusBarItem {
  const item = window.createStatusBarItem('status', StatusBarAlignment.Right, 100);
  item.name = 'Quicksilver';
  item.command = 'quicksilver.status';
  return item;
}

/** Make the item say a state. */
export function showState(item: StatusBarItem, state: State): void {
  const face = faceOf(state, clock);
  item.text = face.text;
  item.tooltip = tooltip(face.lines);
  item.accessibilityInformation = { label: [face.spoken, ...face.lines].join('. ') };
  item.backgroundColor =
    face.severity === 'normal' ? undefined : new ThemeColor(`statusBarItem.${face.severity}Background`);
  item.show();
}

function tooltip(lines: string[]): MarkdownString {
  const text = new MarkdownString('**Quicksilver**\n\n');
  lines.forEach((line) => text.appendText(`${line}\n`));
  return text.appendMarkdown('\n\nClick for the menu.');
}

/** A time of day as this machine's region writes it. */
export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}
