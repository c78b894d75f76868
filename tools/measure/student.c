/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * student.c - Student's t by the regularised incomplete beta function, which is a continued fraction (Abramowitz and
 * Stegun 26.5.8), evaluated by Lentz's method.
 */
#include <math.h>

#include "tools/measure/student.h"

#define TERMS 10000
#define TINY 1e-300
#define PRECISION 1e-14

static double not_zero(double x)
{
	return fabs(x) < TINY ? TINY : x;
}

/* The fraction behind x^a (1-x)^b / (a B(a,b)); converges quickly for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
	double c = 1, d = 1 / not_zero(1 - (a + b) * x / (a + 1)), f = d;

	for (int m = 1; m < TERMS; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
		       odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), step;

		d = 1 / not_zero(1 + even * d);
		c = not_zero(1 + even / c);
		f *= d * c;
		d = 1 / not_zero(1 + odd * d);
		c = not_zero(1 + odd / c);
		step = d * c;
		f *= step;
		if (fabs(step - 1) < PRECISION)
			break;
	}
	return f;
}

/* I_x(a, b), 0 <= x <= 1 */
static double beta_regularised(double a, double b, double x)
{
	double front;

	if (x <= 0 || x >= 1)
		return x <= 0 ? 0 : 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a :
					   1 - front * beta_fraction(b, a, 1 - x) / b;
}

double kbp_student_two_sided(double t, double df)
{
	return beta_regularised(df / 2, 0.5, df / (df + t * t));
}

double kbp_student_critical(double p, double df)
{
	double lo = 0, hi = 1;

	while (kbp_student_two_sided(hi, df) > p && hi < 1e12)
		hi *= 2;
	for (int i = 0; i < 100; i++) {
		double mid = (lo + hi) / 2;

		if (kbp_student_two_sided(mid, df) > p)
			lo = mid;
		else
			hi = mid;
	}
	return hi;
}

double kbp_chi_squared(double p, double df)
{
	double tail = p < 0.5 ? 2 * p : 2 * (1 - p), z = kbp_student_critical(tail, 1e7),
	       k = 2 / (9 * df);
	double root = 1 - k + (p < 0.5 ? -z : z) * sqrt(k);

	return df * root * root * root;
}
