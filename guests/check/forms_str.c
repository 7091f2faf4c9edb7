/* SPDX-License-Identifier: BSD-2-Clause */
/* String instructions on device memory. */
#include "guests/check/forms.h"

FORM_CODE(lods_b, "lodsb");
FORM_CODE(stos_b, "stosb");
FORM_CODE(movs_load_b, "movsb");
FORM_CODE(movs_store_b, "movsb");
FORM_CODE(rep_movs_load_b, "mov $5, %ecx\n rep movsb");
FORM_CODE(rep_movs_store_b, "mov $5, %ecx\n rep movsb");
FORM_CODE(rep_movs_both_b, "mov $6, %ecx\n rep movsb");
FORM_CODE(rep_stos_b, "mov $7, %ecx\n rep stosb");
FORM_CODE(cmps_b, "cmpsb");
FORM_CODE(scas_b, "scasb");
FORM_CODE(repe_cmps_b, "mov $6, %ecx\n repe cmpsb");
FORM_CODE(repne_scas_b, "mov $6, %ecx\n repne scasb");
FORM_CODE(lods_w, "lodsw");
FORM_CODE(stos_w, "stosw");
FORM_CODE(movs_load_w, "movsw");
FORM_CODE(movs_store_w, "movsw");
FORM_CODE(rep_movs_load_w, "mov $5, %ecx\n rep movsw");
FORM_CODE(rep_movs_store_w, "mov $5, %ecx\n rep movsw");
FORM_CODE(rep_movs_both_w, "mov $6, %ecx\n rep movsw");
FORM_CODE(rep_stos_w, "mov $7, %ecx\n rep stosw");
FORM_CODE(cmps_w, "cmpsw");
FORM_CODE(scas_w, "scasw");
FORM_CODE(repe_cmps_w, "mov $6, %ecx\n repe cmpsw");
FORM_CODE(repne_scas_w, "mov $6, %ecx\n repne scasw");
FORM_CODE(lods_l, "lodsl");
FORM_CODE(stos_l, "stosl");
FORM_CODE(movs_load_l, "movsl");
FORM_CODE(movs_store_l, "movsl");
FORM_CODE(rep_movs_load_l, "mov $5, %ecx\n rep movsl");
FORM_CODE(rep_movs_store_l, "mov $5, %ecx\n rep movsl");
FORM_CODE(rep_movs_both_l, "mov $6, %ecx\n rep movsl");
FORM_CODE(rep_stos_l, "mov $7, %ecx\n rep stosl");
FORM_CODE(cmps_l, "cmpsl");
FORM_CODE(scas_l, "scasl");
FORM_CODE(repe_cmps_l, "mov $6, %ecx\n repe cmpsl");
FORM_CODE(repne_scas_l, "mov $6, %ecx\n repne scasl");
FORM_CODE(rep_movs_backwards, "mov $3, %ecx\n std\n rep movsl");
FORM_CODE(rep_stos_zero, "xor %ecx, %ecx\n rep stosl");

static const struct form list[] = {
    {"lods_b", form_lods_b, 0, F_ALWAYS, P_SI},
    {"stos_b", form_stos_b, 0, F_ALWAYS, P_DI},
    {"movs_load_b", form_movs_load_b, 0, F_ALWAYS, P_SI},
    {"movs_store_b", form_movs_store_b, 0, F_ALWAYS, P_DI},
    {"rep_movs_load_b", form_rep_movs_load_b, 0, F_ALWAYS, P_SI},
    {"rep_movs_store_b", form_rep_movs_store_b, 0, F_ALWAYS, P_DI},
    {"rep_movs_both_b", form_rep_movs_both_b, 0, F_ALWAYS, P_BOTH},
    {"rep_stos_b", form_rep_stos_b, 0, F_ALWAYS, P_DI},
    {"cmps_b", form_cmps_b, 0, F_ALWAYS, P_SI},
    {"scas_b", form_scas_b, 0, F_ALWAYS, P_DI},
    {"repe_cmps_b", form_repe_cmps_b, 0, F_ALWAYS, P_BOTH},
    {"repne_scas_b", form_repne_scas_b, 0, F_ALWAYS, P_DI},
    {"lods_w", form_lods_w, 0, F_ALWAYS, P_SI},
    {"stos_w", form_stos_w, 0, F_ALWAYS, P_DI},
    {"movs_load_w", form_movs_load_w, 0, F_ALWAYS, P_SI},
    {"movs_store_w", form_movs_store_w, 0, F_ALWAYS, P_DI},
    {"rep_movs_load_w", form_rep_movs_load_w, 0, F_ALWAYS, P_SI},
    {"rep_movs_store_w", form_rep_movs_store_w, 0, F_ALWAYS, P_DI},
    {"rep_movs_both_w", form_rep_movs_both_w, 0, F_ALWAYS, P_BOTH},
    {"rep_stos_w", form_rep_stos_w, 0, F_ALWAYS, P_DI},
    {"cmps_w", form_cmps_w, 0, F_ALWAYS, P_SI},
    {"scas_w", form_scas_w, 0, F_ALWAYS, P_DI},
    {"repe_cmps_w", form_repe_cmps_w, 0, F_ALWAYS, P_BOTH},
    {"repne_scas_w", form_repne_scas_w, 0, F_ALWAYS, P_DI},
    {"lods_l", form_lods_l, 0, F_ALWAYS, P_SI},
    {"stos_l", form_stos_l, 0, F_ALWAYS, P_DI},
    {"movs_load_l", form_movs_load_l, 0, F_ALWAYS, P_SI},
    {"movs_store_l", form_movs_store_l, 0, F_ALWAYS, P_DI},
    {"rep_movs_load_l", form_rep_movs_load_l, 0, F_ALWAYS, P_SI},
    {"rep_movs_store_l", form_rep_movs_store_l, 0, F_ALWAYS, P_DI},
    {"rep_movs_both_l", form_rep_movs_both_l, 0, F_ALWAYS, P_BOTH},
    {"rep_stos_l", form_rep_stos_l, 0, F_ALWAYS, P_DI},
    {"cmps_l", form_cmps_l, 0, F_ALWAYS, P_SI},
    {"scas_l", form_scas_l, 0, F_ALWAYS, P_DI},
    {"repe_cmps_l", form_repe_cmps_l, 0, F_ALWAYS, P_BOTH},
    {"repne_scas_l", form_repne_scas_l, 0, F_ALWAYS, P_DI},
    {"rep_movs_backwards", form_rep_movs_backwards, 0, F_ALWAYS, P_BOTH},
    {"rep_stos_zero", form_rep_stos_zero, 0, F_ALWAYS, P_DI},
};

const struct form_list forms_string = {list, ARRAY_SIZE(list)};
