import type { AskStep } from "../api/types";
import type { askEn } from "./ask-en";

const WHYS: Record<string, string> = {
  number_not_found: "기록에 없는 숫자가 있어서",
  name_not_found: "기록에 없는 이름이 있어서",
  claim_not_found: "기록에 없는 주장이 있어서",
  too_long: "글이 너무 길어서",
  budget: "예산을 다 써서",
  resting: "모델이 실패해서 잠시 쉬는 중이라",
  residency: "데이터를 보낼 수 없는 곳이라",
  context: "찾은 내용이 모델에 다 들어가지 않아서",
  timeout: "너무 오래 걸려서",
};

const LOOKED: Record<string, string> = { telemetry: "기록된 데이터", runbooks: "참고 문서" };

export const askKo: typeof askEn = {
  askStep: (step: AskStep): string => {
    switch (step.step) {
      case "understood":
        return "질문을 이해했습니다. 기록된 데이터를 찾는 중 …";
      case "looked_at":
        return `${LOOKED[step.what] ?? step.what} 확인함 …`;
      case "asking":
        return `${step.provider} (${step.model})에 묻는 중 …`;
      case "failed":
        return `${step.provider}의 답이 없습니다 (${step.why}) …`;
      default:
        return "…";
    }
  },
  understoodByModel: "질문의 뜻은 모델이 골랐습니다.",
  wordedByModel: (provider) => `${provider} 모델이 쓴 글이며, 숫자는 모두 기록에서 확인했습니다.`,
  wordedByTemplate: (why) => `${WHYS[why] ?? `${why} 때문에`} 모델의 글 대신 정해진 문장으로 답했습니다.`,
  runbooks: "참고 문서",
  pastIncident: "지난 장애",
};
