/** Which of the extension's settings are the server's. Defaults and checks are in package.json. */

export const SECTION = 'quicksilver';

/**
 * The server's settings that a person can set here, named as in package.json (the server takes camelCase).
 * Its `trace` and `without` are for people who work on the server; `trace` also could not stand beside `trace.server`.
 */
export const SERVER_SETTINGS = [
  'enabled',
  'languages',
  'minConfidence',
  'prose',
  'workspace',
  'exclude',
  'maxWorkspaceFiles',
  'budgetMs',
  'invokedBudgetMs',
  'settleMs',
  'adaptiveDebounce',
  'reuse',
  'prefetch',
  'maxTokens',
  'maxSteps',
  'policy',
  'startEngine',
  'logLevel',
] as const;

/** The settings that only a new process takes over. */
export const PROCESS_SETTINGS = ['path', 'args', 'model'] as const;

/** What the server is told: its own settings and nothing else of the section. */
export function serverSettings(read: (name: string) => unknown): Record<string, unknown> {
  const told: Record<string, unknown> = {};
  for (const name of SERVER_SETTINGS) {
    const value = read(name);
    if (value !== undefined) {
      told[name] = value;
    }
  }
  return told;
}

/** The languages that some model completes by itself: a document in one of them starts the server. */
export const MODEL_LANGUAGES = [
  'python',
  'javascript',
  'javascriptreact',
  'typescript',
  'typescriptreact',
  'go',
  'rust',
  'java',
  'c',
  'cpp',
  'php',
  'shellscript',
  'csharp',
  'ruby',
  'kotlin',
  'sql',
  'html',
  'css',
  'scss',
  'less',
  'json',
  'jsonc',
  'yaml',
  'markdown',
];

/**
 * The languages in which completions may come by themselves. Where the person has named none, the server knows which of
 * them its model was taught. Whatever is no list of names counts as none.
 */
export function automaticLanguages(value: unknown): string[] {
  if (value === undefined || value === null) {
    return MODEL_LANGUAGES;
  }
  return Array.isArray(value) ? value.filter((name): name is string => typeof name === 'string') : [];
}
