import { usePolled } from "../api/hooks";
import { Failure, Loading } from "../ui/parts";
import { CertificatesPanel } from "./certificates";
import { TextPanel } from "./change";
import { History } from "./history";
import { InstancesPanel } from "./instances";
import { RunningPanel } from "./running";
import { Settings } from "./settings";
import type { Running } from "./types";

/** What runs, how it came to be, and another one. */
export function Configuration() {
  const { data, error, reload } = usePolled<Running>("/api/config", 2000);
  if (!data) return error ? <Failure error={error} retry={reload} /> : <Loading />;
  return (
    <>
      <RunningPanel running={data} />
      <TextPanel running={data} changed={reload} />
      <History turn={`${data.etag}${data.trial?.revision ?? ""}`} changed={reload} />
      <InstancesPanel running={data} changed={reload} />
      <CertificatesPanel />
      <Settings running={data} />
    </>
  );
}
