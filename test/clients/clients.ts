/** The agents of examples/clients: what each needs on this machine, and what the bus must see it speak. */

/** One line of the bus's log of requests, at level debug. */
export interface Spoken {
  /** Of HTTP, such as "1.1". */
  readonly http: string;
  /** The content-type, without parameters. */
  readonly type: string;
}

export interface Client {
  /** Its agent's name as well. */
  readonly name: string;
  /** Under examples/clients. */
  readonly folder: string;
  /** Programs, each with where to get it. */
  readonly needs: Readonly<Record<string, string>>;
  /** What its user-agent begins with; no two rows share it together with `speaks`. */
  readonly userAgent: RegExp;
  readonly speaks: Spoken;
  /** Runs in a page: what the page's address says besides who and where. */
  readonly page?: Readonly<Record<string, string>>;
}

const PYTHON = { python3: "python.org, or apt-get install python3-venv" };
const GO = { go: "Go 1.26, go.dev/dl" };
const JAVA = { java: "apt-get install openjdk-17-jdk", mvn: "apt-get install maven" };
/** Whichever of them is there. */
export const BROWSERS = ["chromium", "chromium-browser", "google-chrome"] as const;
const BROWSER = { [BROWSERS.join("|")]: "apt-get install chromium" };

export const CLIENTS: readonly Client[] = [
  {
    name: "python-connect",
    folder: "python-connect",
    needs: PYTHON,
    userAgent: /^(connectrpc|connect-py|pyqwest)/,
    speaks: { http: "1.1", type: "application/proto" },
  },
  {
    name: "python-grpc",
    folder: "python-grpc",
    needs: PYTHON,
    userAgent: /^grpc-python\//,
    speaks: { http: "2.0", type: "application/grpc" },
  },
  {
    name: "go-connect",
    folder: "go-connect",
    needs: GO,
    userAgent: /^connect-go\//,
    speaks: { http: "1.1", type: "application/proto" },
  },
  {
    name: "go-grpc",
    folder: "go-grpc",
    needs: GO,
    userAgent: /^grpc-go\//,
    speaks: { http: "2.0", type: "application/grpc" },
  },
  {
    name: "rust",
    folder: "rust",
    needs: { cargo: "rustup.rs" },
    userAgent: /^tonic\//,
    speaks: { http: "2.0", type: "application/grpc" },
  },
  {
    name: "java",
    folder: "java",
    needs: JAVA,
    userAgent: /^grpc-java-/,
    speaks: { http: "2.0", type: "application/grpc" },
  },
  {
    name: "browser-connect",
    folder: "browser",
    needs: BROWSER,
    userAgent: /^Mozilla\/.*Chrome\//,
    speaks: { http: "1.1", type: "application/json" },
    page: { protocol: "connect" },
  },
  {
    name: "browser-grpc-web",
    folder: "browser",
    needs: BROWSER,
    userAgent: /^Mozilla\/.*Chrome\//,
    speaks: { http: "1.1", type: "application/grpc-web+proto" },
    page: { protocol: "grpc-web" },
  },
  {
    name: "shell",
    folder: "shell",
    needs: { curl: "apt-get install curl", jq: "apt-get install jq" },
    userAgent: /^curl\//,
    speaks: { http: "1.1", type: "application/json" },
  },
];

/** In the words of docs/protocol.md. */
export function nameOf({ http, type }: Spoken): string {
  const protocols: Readonly<Record<string, string>> = {
    "application/json": "Connect JSON",
    "application/proto": "Connect binary",
    "application/grpc": "gRPC",
    "application/grpc+proto": "gRPC",
    "application/grpc-web+proto": "gRPC-Web",
  };
  return `${protocols[type] ?? type}, HTTP/${http.replace(/\.0$/, "")}`;
}
