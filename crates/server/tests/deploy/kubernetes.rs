//! The manifests: valid by the schemas of Kubernetes, consistent with each other, and each command line runs as written.

use std::collections::BTreeSet;

use onsale_testing::postgres::shared;
use onsale_testing::{Caller, without};
use serde_json::Value;

use crate::files;
use crate::natively::Given;
use crate::support::{ONSALE, text, until};
use crate::tools::{Tools, missing, said};

const FOLDER: &str = "deploy/kubernetes";
const SECRETS: &str = "/run/secrets/onsale/";

/// The files of manifests, in the order of the kustomization.
async fn files_of_manifests() -> Vec<String> {
    let kustomization = files::yaml(&[format!("{FOLDER}/kustomization.yaml")]).await;
    let listed: Vec<String> = serde_json::from_value(kustomization[0]["resources"].clone()).unwrap();
    let all: BTreeSet<String> = files::names(FOLDER, ".yaml").into_iter().collect();
    let named: BTreeSet<String> = listed.iter().cloned().chain(["kustomization.yaml".to_owned()]).collect();
    assert_eq!(all, named, "each file is a resource of the kustomization");
    listed.iter().map(|name| format!("{FOLDER}/{name}")).collect()
}

struct Manifests(Vec<Value>);

impl Manifests {
    async fn read() -> Self {
        Self(files::yaml(&files_of_manifests().await).await)
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |manifest| manifest["kind"] == kind)
    }

    fn get(&self, kind: &str, name: &str) -> &Value {
        let found = self.of(kind).find(|manifest| manifest["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// The templates of pods, each with its kind and name.
    fn pods(&self) -> Vec<(String, &Value)> {
        let template = |manifest: &'_ Value| {
            let spec = if manifest["kind"] == "CronJob" { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
            manifest.pointer(spec).is_some().then_some(spec)
        };
        let pods = self.0.iter().filter_map(|manifest| {
            let name = format!("{} {}", text(&manifest["kind"]), text(&manifest["metadata"]["name"]));
            template(manifest).map(|spec| (name, manifest.pointer(spec).unwrap()))
        });
        pods.collect()
    }

    /// The arguments of a container, and its variables as far as they are in this repository.
    fn given(&self, container: &Value) -> Given {
        let mut given = Given::default();
        let arguments = container["args"].as_array().into_iter().flatten();
        given.arguments = arguments.map(text).collect();
        for from in container["envFrom"].as_array().into_iter().flatten() {
            let map = self.get("ConfigMap", &text(&from["configMapRef"]["name"]));
            let data = map["data"].as_object().unwrap();
            given.variables.extend(data.iter().map(|(name, value)| (name.clone(), text(value))));
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            given.variables.insert(text(&variable["name"]), text(&variable["value"]));
        }
        given
    }
}

fn container(pod: &Value) -> &Value {
    let containers = pod["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    &containers[0]
}

/// Returns whether labels match a selector.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
}

#[tokio::test]
async fn the_schemas_of_kubernetes_accept_every_manifest() {
    if missing("python") {
        return;
    }
    let launch = onsale_testing::Launch::new(ONSALE);
    let tools = Tools::beside(launch.folder());
    let validate = async |files: &[String]| {
        let mut command = tools.python("kubernetes-validate", &["--strict"]);
        tools.run(command.args(files.iter().map(|file| files::path(file)))).await
    };
    let files = files_of_manifests().await;
    let run = validate(&files).await;
    assert!(run.status.success() && !said(&run).contains("WARN"), "{}", said(&run));
    let passed = said(&run).matches("passed").count();
    assert_eq!(passed, Manifests::read().await.0.len(), "{}", said(&run));
    // The schemas work: they refuse a misspelt member.
    let faulty = files::text(&files[3]).replace("readinessProbe", "readynessProbe");
    tools.write("faulty.yaml", faulty.as_bytes());
    assert!(!validate(&[launch.folder().join("tools/faulty.yaml").display().to_string()]).await.status.success());
}

#[tokio::test]
async fn every_variable_is_a_setting_and_every_secret_is_documented() {
    if missing("python") {
        return;
    }
    let (manifests, variables) = (Manifests::read().await, files::variables().await);
    let page = files::text("docs/guide/kubernetes.md");
    for (name, pod) in manifests.pods() {
        let container = container(pod);
        for (variable, value) in manifests.given(container).variables {
            let is_ours = variable.starts_with("ONSALE_");
            assert!(variables.contains(&variable) || !is_ours, "{name}: {variable} is no setting");
            if variable.ends_with("_FILE") {
                let file = value.strip_prefix(SECRETS).unwrap_or_else(|| panic!("{name}: {variable}={value}"));
                assert!(
                    page.contains(&format!("--from-file={file}=")),
                    "docs/guide/kubernetes.md does not make {file}"
                );
            }
        }
        // Secrets are read from a volume, by no other user than the pod's.
        let mounts = container["volumeMounts"].as_array().unwrap();
        assert!(mounts.iter().any(|mount| mount["mountPath"] == SECRETS.trim_end_matches('/')), "{name}");
        let volumes = pod["spec"]["volumes"].as_array().unwrap();
        let secret = volumes.iter().find(|volume| volume["name"] == "secrets").unwrap();
        assert_eq!(secret["secret"]["defaultMode"], 0o440, "{name}");
        assert_eq!(pod["spec"]["securityContext"]["fsGroup"], 65_532, "{name}");
        assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true, "{name}");
        let may = &container["securityContext"];
        assert!(may["readOnlyRootFilesystem"] == true && may["allowPrivilegeEscalation"] == false, "{name}: {may}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
        for mount in mounts {
            assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{name}: {mount}");
        }
    }
}

/// Two exports of the largest list: a million applicants, each with a number, an id of 64 characters and an instant.
const EXPORTS_MIB: u64 = 2 * 1_000_000 * 99 / (1_024 * 1_024);

/// A server without a folder for temporary files refuses each export; a pod that fills more than its limit is evicted.
#[tokio::test]
async fn a_server_can_write_the_temporary_files_of_exports() {
    if missing("python") {
        return;
    }
    let manifests = Manifests::read().await;
    let pod = &manifests.get("Deployment", "onsale")["spec"]["template"];
    let mounts = container(pod)["volumeMounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["mountPath"] == "/tmp").unwrap();
    assert!(mount["readOnly"].is_null(), "{mount}");
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
    let limit = volume["emptyDir"]["sizeLimit"].as_str().unwrap();
    let mebibytes: u64 = limit.strip_suffix("Mi").unwrap().parse().unwrap();
    assert!(mebibytes > EXPORTS_MIB && volume["emptyDir"]["medium"].is_null(), "{volume}");
}

#[tokio::test]
async fn ports_selectors_and_times_fit_each_other() {
    if missing("python") {
        return;
    }
    let manifests = Manifests::read().await;
    let pods: Vec<(&Value, Vec<&str>)> = manifests
        .pods()
        .iter()
        .map(|(_, pod)| {
            let ports = container(pod)["ports"].as_array().into_iter().flatten();
            (&pod["metadata"]["labels"], ports.map(|port| port["name"].as_str().unwrap()).collect())
        })
        .collect();
    let has_port = |selector: &Value, port: &Value| {
        let selected: Vec<_> = pods.iter().filter(|(labels, _)| selects(selector, labels)).collect();
        selected.iter().any(|(_, ports)| ports.contains(&port.as_str().unwrap()))
    };
    for service in manifests.of("Service").filter(|service| service["metadata"]["name"] != "onsale-nowhere") {
        let port = &service["spec"]["ports"][0];
        assert!(has_port(&service["spec"]["selector"], &port["targetPort"]), "{service}");
    }
    for path in manifests.get("Ingress", "onsale")["spec"]["rules"][0]["http"]["paths"].as_array().unwrap() {
        let backend = &path["backend"]["service"];
        let service = manifests.get("Service", backend["name"].as_str().unwrap());
        assert_eq!(service["spec"]["ports"][0]["name"], backend["port"]["name"], "{path}");
    }
    for policy in manifests.of("NetworkPolicy") {
        for rule in policy["spec"]["ingress"].as_array().into_iter().flatten() {
            let selector = &policy["spec"]["podSelector"];
            let named = selector["matchLabels"].is_object();
            assert!(!named || has_port(&selector["matchLabels"], &rule["ports"][0]["port"]), "{policy}");
        }
    }
    let labels = &manifests.get("Deployment", "onsale")["spec"]["template"]["metadata"]["labels"];
    let disruption = &manifests.get("PodDisruptionBudget", "onsale")["spec"];
    assert!(selects(&disruption["selector"]["matchLabels"], labels) && disruption["maxUnavailable"] == 1);
    let scaled = &manifests.get("HorizontalPodAutoscaler", "onsale")["spec"];
    manifests
        .get(scaled["scaleTargetRef"]["kind"].as_str().unwrap(), scaled["scaleTargetRef"]["name"].as_str().unwrap());
    assert!(manifests.get("Deployment", "onsale")["spec"]["replicas"].is_null(), "the autoscaler decides");
    for deployment in manifests.of("Deployment") {
        let spec = &deployment["spec"];
        assert!(selects(&spec["selector"]["matchLabels"], &spec["template"]["metadata"]["labels"]), "{deployment}");
    }

    let pod = &manifests.get("Deployment", "onsale")["spec"]["template"];
    let given = manifests.given(container(pod));
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value}"));
    let drain: u64 = given.variables["ONSALE_DRAIN_SECONDS"].parse().unwrap();
    assert!(number(&pod["spec"]["terminationGracePeriodSeconds"]) >= drain + 20, "drain, and what is under way");
    let ready = &container(pod)["readinessProbe"];
    let noticed =
        number(&ready["periodSeconds"]) * number(&ready["failureThreshold"]) + number(&ready["timeoutSeconds"]);
    assert!(
        noticed < drain,
        "the pod serves for longer ({drain} s) than it takes to be seen as not ready ({noticed} s)"
    );
    let limit = &container(pod)["resources"]["limits"]["memory"];
    files::assert_fits(&given.variables["ONSALE_CONNECTIONS_MAX"], limit.as_str().unwrap());
}

/// The probes of a container as written, answered by a server that was started as written.
async fn probes_answer(name: &str, container: &Value, given: &Given, caller: &Caller) {
    for kind in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let Some(probe) = container[kind]["httpGet"].as_object() else { continue };
        let ports = container["ports"].as_array().unwrap();
        let port = ports.iter().find(|port| port["name"] == probe["port"]).unwrap_or_else(|| panic!("{name}: {kind}"));
        let listen = given.address("--listen", "ONSALE_LISTEN").filter(|_| given.arguments[0] == "serve");
        let listen = listen.or_else(|| given.address("--metrics-listen", "ONSALE_METRICS_LISTEN")).unwrap();
        assert_eq!(*listen, format!("0.0.0.0:{}", port["containerPort"]), "{name}: {kind}");
        until(&format!("{name}: {kind} is answered 200"), async || {
            let reply = caller.get(probe["path"].as_str().unwrap()).try_send().await.ok()?;
            (reply.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_container_command_starts_and_answers_its_probes() {
    if missing("python") || without("postgres") {
        return;
    }
    let manifests = Manifests::read().await;
    let database = shared().await.migrated(ONSALE).await;
    let mut started = Vec::new();
    for (name, pod) in manifests.pods() {
        let container = container(pod);
        if container["image"] != "onsale" {
            continue;
        }
        let given = manifests.given(container);
        started.push(given.arguments[0].clone());
        if container["livenessProbe"].is_null() {
            given.ends_well(&database.url()).await;
            continue;
        }
        let running = given.starts(&database.url()).await;
        probes_answer(&name, container, &given, &running.caller).await;
        running.assert_settings_act();
        if given.arguments[0] == "serve" {
            metric_of_the_autoscaler(&manifests, &running.caller).await;
        }
        running.stops().await;
    }
    started.sort();
    assert_eq!(started, ["consume", "migrate", "relay", "serve"]);
}

/// Checks that a rule makes the autoscaler's metric from metrics that a server exports.
async fn metric_of_the_autoscaler(manifests: &Manifests, caller: &Caller) {
    let scaled = &manifests.get("HorizontalPodAutoscaler", "onsale")["spec"]["metrics"][0]["pods"];
    let rules = &files::yaml(&["deploy/prometheus-adapter.yaml".to_owned()]).await[0]["rules"]["custom"];
    let rule = rules.as_array().unwrap().iter().find(|rule| rule["name"]["as"] == scaled["metric"]["name"]);
    let rule = rule.unwrap_or_else(|| panic!("a rule for {scaled}"));
    let shown = caller.get("/metrics").send().await;
    let shown = String::from_utf8(shown.body.to_vec()).unwrap();
    let query = format!("{} {}", text(&rule["seriesQuery"]), text(&rule["metricsQuery"]));
    let word = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let named: BTreeSet<&str> =
        query.split(|letter| !word(letter)).filter(|name| name.starts_with("onsale_")).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    for name in named {
        let has = shown.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        assert!(has, "a server shows {name}: {shown}");
    }
}

/// Checks that the job runs the script that these tests run.
#[tokio::test]
async fn the_backup_job_of_the_cluster_runs_the_tested_script() {
    if missing("python") {
        return;
    }
    let manifests = Manifests::read().await;
    assert_eq!(text(&manifests.get("ConfigMap", "onsale-backup")["data"]["backup"]), files::text("deploy/backup"));
    let job = manifests.get("CronJob", "onsale-backup");
    let pod = job.pointer("/spec/jobTemplate/spec/template").unwrap();
    let container = container(pod);
    let mounted = |path: &str| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        let name = &mounts.iter().find(|mount| mount["mountPath"] == path).unwrap_or_else(|| panic!("{path}"))["name"];
        pod["spec"]["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == *name).unwrap()
    };
    let command: Vec<String> = serde_json::from_value(container["command"].clone()).unwrap();
    assert_eq!(command, ["bash", "/usr/local/lib/onsale/backup", "/var/backups/onsale"]);
    assert_eq!(mounted("/usr/local/lib/onsale")["configMap"]["name"], "onsale-backup");
    let claim = text(&mounted("/var/backups/onsale")["persistentVolumeClaim"]["claimName"]);
    manifests.get("PersistentVolumeClaim", &claim);
}
