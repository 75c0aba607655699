import type { AskStep } from "../api/types";

const WHYS: Record<string, string> = {
  number_not_found: "it had a number that was not found",
  name_not_found: "it had a name that was not found",
  claim_not_found: "it claimed what was not found",
  too_long: "it was too long",
  budget: "the budget is used up",
  resting: "the model is left alone after failures",
  residency: "data may not go there",
  context: "the findings do not fit the model",
  timeout: "it took too long",
};

const LOOKED: Record<string, string> = { telemetry: "what was recorded", runbooks: "the runbooks" };

/** The texts about models and runbooks on the page of questions. */
export const askEn = {
  askStep: (step: AskStep): string => {
    switch (step.step) {
      case "understood":
        return "Understood. Looking at what was recorded …";
      case "looked_at":
        return `Looked at ${LOOKED[step.what] ?? step.what} …`;
      case "asking":
        return `Asking ${step.provider} (${step.model}) …`;
      case "failed":
        return `${step.provider} gave no answer (${step.why}) …`;
      default:
        return "…";
    }
  },
  understoodByModel: "A model has found out what the question means.",
  wordedByModel: (provider: string) => `Worded by ${provider}; each number was found in what was recorded.`,
  wordedByTemplate: (why: string) => `Worded by template: no words of a model, since ${WHYS[why] ?? why}.`,
  runbooks: "Runbooks",
  pastIncident: "Past incident",
};
