/** The texts of log lines. */
export const logsEn = {
  logs: "Logs",
  atLeast: "At least",
  anyLevel: "Any level",
  logText: "Message contains",
  logsAs: "Show",
  logPatterns: "Patterns",
  logPattern: "What they say",
  logLevel: "Level",
  logLastSeen: "Last",
  logEmpty: "(empty)",
  logsRead: (count: string) => `${count} lines in this window. <*> stands for a word with digits; choose a pattern to read its lines.`,
  logsReadLatest: (count: string) => `The latest ${count} lines only: there are more in this window.`,
  logsAll: "Show all",
  noLogs: "No log lines",
  noLogsHint: "Lines come from the platform, from processes that it runs, and from applications that send OTLP logs.",
};
