import type { logsEn } from "./logs-en";

export const logsKo: typeof logsEn = {
  logs: "로그",
  atLeast: "최소 수준",
  anyLevel: "모든 수준",
  logText: "메시지에 포함",
  logsAs: "보기",
  logPatterns: "패턴",
  logPattern: "내용",
  logLevel: "수준",
  logLastSeen: "마지막",
  logEmpty: "(비어 있음)",
  logsRead: (count) => `이 구간의 로그 ${count}줄입니다. <*>는 숫자가 든 단어를 뜻하며, 패턴을 고르면 해당 줄을 볼 수 있습니다.`,
  logsReadLatest: (count) => `가장 최근 ${count}줄만 표시합니다. 이 구간에 더 있습니다.`,
  logsAll: "모두 보기",
  noLogs: "로그가 없습니다",
  noLogsHint: "로그는 플랫폼, 플랫폼이 실행하는 프로세스, OTLP 로그를 보내는 애플리케이션에서 옵니다.",
};
