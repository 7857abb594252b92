//! More keys for these tests only: a second one for rotation, and some that cannot be used.

pub(crate) const SECOND_EC_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+MZ4O1WwIUGYhmhn
HgnfYcnV4it2GtFt3RClrllerNChRANCAATHSrPvfNHMCMIYAstyyF0/mLSwGwE1
EOq2WbssQILG/y25HJ48IYcAhdidNkr0Em/ZRHvDei82/UV/OCsbFGut
-----END PRIVATE KEY-----
";

pub(crate) const SECOND_EC_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEx0qz73zRzAjCGALLcshdP5i0sBsB
NRDqtlm7LECCxv8tuRyePCGHAIXYnTZK9BJv2UR7w3ovNv1FfzgrGxRrrQ==
-----END PUBLIC KEY-----
";

/// Unusable keys, and the name of each in the server's error.
pub(crate) const UNUSABLE: [(&str, &str); 10] = [
    (SECOND_EC_PRIVATE, "private key"),
    (
        "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIPjGeDtVsCFBmIZoZx4J32HJ1eIrdhrRbd0Qpa5ZXqzQoAoGCCqGSM49
AwEHoUQDQgAEx0qz73zRzAjCGALLcshdP5i0sBsBNRDqtlm7LECCxv8tuRyePCGH
AIXYnTZK9BJv2UR7w3ovNv1FfzgrGxRrrQ==
-----END EC PRIVATE KEY-----
",
        "private key",
    ),
    (
        "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEyZd6hO/vvfQoDs6hqP5zuO6JFhxJu6zI
k1iK1m0CkJtZZyq/GGOnlKSQSHs1NXAYlZjZsu48TQO+KjdyQ05IlSVugMMwHJ/4
eLny0IACp5ml2fvk8R2KqE/Apx6jDCK5
-----END PUBLIC KEY-----
",
        "P-384",
    ),
    (
        "-----BEGIN PUBLIC KEY-----
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEwYLnXXMICnnQ4DXiYgyM8LwzZx9Z1lQx
/SaHLb98gedZgnQAF2hhIvoccl/zxvSxyuSfnJ338nGGlx+UCQYLJw==
-----END PUBLIC KEY-----
",
        "secp256k1",
    ),
    (
        "-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAJo/Yq9N8HL8nW9EbNhhUTY0Hl6m1Th0
NsYWlRwUcWyoHB+OEBO2F+zzjRCXIkoY/JYBTafvFbe4bFGBH7TeR3MCAwEAAQ==
-----END PUBLIC KEY-----
",
        "512 bits",
    ),
    (
        "-----BEGIN RSA PUBLIC KEY-----
MIGJAoGBAKv9kpHBx1szz/IerJ+bnXDEHWcYGZtl/WbPDzMHBJ97iEEtovQTfg2X
ag5egRdGyoTR+OJUSbJL2pXgtKnjCBfIUo5XyJ8T1wkgaYDKvXGPh46lkiAoPMa6
qCQTiAI/zIW1Cz/AWuWuzZm5fZMKMQdb61rpc3lpGQQeKU1zAuzvAgMBAAE=
-----END RSA PUBLIC KEY-----
",
        "1024 bits",
    ),
    (
        "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAU99geR2uByy4zT2b1iFez2q7mooNJlAclCzN5Eh/FG4=
-----END PUBLIC KEY-----
",
        "Ed25519",
    ),
    (
        "-----BEGIN CERTIFICATE-----
MIIBdDCCARmgAwIBAgIUBRaWToNscFvvOLoVrDB65OcTFHgwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjkxNzIyMTVaFw0zNjExMjYxNzIyMTVa
MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATHSrPv
fNHMCMIYAstyyF0/mLSwGwE1EOq2WbssQILG/y25HJ48IYcAhdidNkr0Em/ZRHvD
ei82/UV/OCsbFGuto1MwUTAdBgNVHQ4EFgQUnaQg04Qqfqd/qDWZlPjUzGXMnSUw
HwYDVR0jBBgwFoAUnaQg04Qqfqd/qDWZlPjUzGXMnSUwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNJADBGAiEAs3oFg/iItejvbvYGL62+x9SAteg2TYRO5E61
2wJHkSQCIQDEsfsepL69ixVKZL813GEn+gxoXekcSvnkrD3Nct0rbg==
-----END CERTIFICATE-----
",
        "certificate",
    ),
    ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "public key"),
    ("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZI", "PEM"),
];
