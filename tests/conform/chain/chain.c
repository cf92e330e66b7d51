/* chain.c - placeholder until the chain suite below is complete. SPDX-License-Identifier: Apache-2.0 */
int main(void);
int main(void) { return 77; }
