/* SPDX-License-Identifier: BSD-2-Clause */
/* student.h - Student's t and the chi-squared distribution, as far as intervals need them. */
#ifndef KBP_TOOLS_MEASURE_STUDENT_H
#define KBP_TOOLS_MEASURE_STUDENT_H

/* Probability of |T| >= t with df degrees of freedom. */
double kbp_student_two_sided(double t, double df);
/* t that |T| reaches with probability p, 0 < p < 1. */
double kbp_student_critical(double p, double df);
/* Below it a chi-squared variable of df degrees of freedom lies with probability p (Wilson and Hilferty 1931: within
 * 1 % from df = 4 and p = 0.1). */
double kbp_chi_squared(double p, double df);

#endif
